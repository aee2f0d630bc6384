"use strict";

for (const compare of document.querySelectorAll(".compare")) {
  const range = compare.querySelector("input");
  const follow = () => compare.style.setProperty("--split", range.value + "%");
  range.addEventListener("input", follow);
  follow();
}

for (const chart of document.querySelectorAll("svg[data-points]")) {
  const points = JSON.parse(chart.dataset.points);
  const cursor = chart.querySelector(".cursor");
  const [line, circle, text] = cursor.children;
  let index = points.length - 1;

  const show = (wanted) => {
    index = Math.min(Math.max(wanted, 0), points.length - 1);
    const [x, y, seconds, value] = points[index];
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", y);
    const right = x > chart.viewBox.baseVal.width / 2;
    text.setAttribute("x", right ? x - 8 : x + 8);
    text.setAttribute("y", y > 40 ? y - 10 : y + 22);
    text.setAttribute("text-anchor", right ? "end" : "start");
    text.textContent = value + " at " + seconds;
    cursor.removeAttribute("hidden");
  };
  const hide = () => cursor.setAttribute("hidden", "");

  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
    let nearest = 0;
    points.forEach((point, i) => {
      if (Math.abs(point[0] - x) < Math.abs(points[nearest][0] - x)) nearest = i;
    });
    show(nearest);
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: points.length - 1 };
    if (event.key in steps) {
      event.preventDefault();
      show(steps[event.key]);
    }
  });
}
