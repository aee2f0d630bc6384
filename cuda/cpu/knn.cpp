// A k-d tree cut at medians by count, so that duplicates and outliers cost nothing extra.
#include "knn.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "pool.h"

namespace splat {
namespace {

constexpr int64_t kLeaf = 8;     // points of a leaf, at most
constexpr int64_t kTask = 1024;  // queries of a task

struct Node {
    int64_t begin, end;  // its points
    int axis;            // of the cut, or -1 for a leaf
    float cut;
    int64_t right;       // the left child is the next node
};

// The k smallest squared distances seen, ascending.
struct Nearest {
    float distance[kMaxNeighbours];
    int k;
    explicit Nearest(int count) : k(count) {
        std::fill(distance, distance + k, std::numeric_limits<float>::infinity());
    }
    float worst() const { return distance[k - 1]; }
    void add(float d) {
        int i = k - 1;
        for (; i > 0 && distance[i - 1] > d; --i) distance[i] = distance[i - 1];
        distance[i] = d;
    }
};

class Tree {
  public:
    Tree(const float* points, int64_t count) : order_(size_t(count)), sorted_(size_t(3 * count)) {
        for (int64_t i = 0; i < count; ++i) order_[i] = i;
        nodes_.reserve(size_t(4 * (count / kLeaf + 1)));
        build(points, 0, count);
        for (int64_t i = 0; i < count; ++i)
            for (int a = 0; a < 3; ++a) sorted_[3 * i + a] = points[3 * order_[i] + a];
    }

    // Number of the i-th point in tree order, in the caller's order.
    int64_t index(int64_t i) const { return order_[i]; }

    void search(int64_t i, Nearest& nearest) const {
        float offset[3] = {0, 0, 0};
        visit(0, i, &sorted_[3 * i], offset, nearest);
    }

  private:
    int widest(const float* points, int64_t begin, int64_t end) const {
        float low[3], high[3];
        for (int a = 0; a < 3; ++a) low[a] = high[a] = points[3 * order_[begin] + a];
        for (int64_t i = begin; i < end; ++i)
            for (int a = 0; a < 3; ++a) {
                low[a] = std::min(low[a], points[3 * order_[i] + a]);
                high[a] = std::max(high[a], points[3 * order_[i] + a]);
            }
        int axis = 0;
        for (int a = 1; a < 3; ++a)
            if (high[a] - low[a] > high[axis] - low[axis]) axis = a;
        return axis;
    }

    void build(const float* points, int64_t begin, int64_t end) {
        const size_t at = nodes_.size();
        nodes_.push_back({begin, end, -1, 0.f, 0});
        if (end - begin <= kLeaf) return;
        const int axis = widest(points, begin, end);
        const int64_t middle = begin + (end - begin) / 2;
        const auto coordinate = [&](int64_t i) { return points[3 * i + axis]; };
        std::nth_element(order_.begin() + begin, order_.begin() + middle, order_.begin() + end,
                         [&](int64_t a, int64_t b) { return coordinate(a) < coordinate(b); });
        nodes_[at].axis = axis;
        nodes_[at].cut = coordinate(order_[middle]);
        build(points, begin, middle);
        nodes_[at].right = int64_t(nodes_.size());
        build(points, middle, end);
    }

    void scan(const Node& node, int64_t self, const float* q, Nearest& nearest) const {
        for (int64_t i = node.begin; i < node.end; ++i) {
            const float *p = &sorted_[3 * i], x = p[0] - q[0], y = p[1] - q[1], z = p[2] - q[2];
            const float d = x * x + y * y + z * z;
            if (d < nearest.worst() && i != self) nearest.add(d);
        }
    }

    // `offset`: per axis, how far the query lies outside the box of this node.
    void visit(int64_t number, int64_t self, const float* q, float* offset, Nearest& nearest) const {
        const Node& node = nodes_[number];
        if (node.axis < 0) return scan(node, self, q, nearest);
        const float side = q[node.axis] - node.cut;
        const bool left = side < 0;
        visit(left ? number + 1 : node.right, self, q, offset, nearest);
        const float before = offset[node.axis];
        offset[node.axis] = side;
        const float bound = offset[0] * offset[0] + offset[1] * offset[1] + offset[2] * offset[2];
        if (bound < nearest.worst()) visit(left ? node.right : number + 1, self, q, offset, nearest);
        offset[node.axis] = before;
    }

    std::vector<int64_t> order_;
    std::vector<float> sorted_;
    std::vector<Node> nodes_;
};

}  // namespace

void knn_mean_squared(const float* points, int64_t count, int k, float* out) {
    if (count == 0) return;
    const int others = int(std::min<int64_t>(k, count - 1));
    if (others < 1) {
        out[0] = 0.f;
        return;
    }
    const Tree tree(points, count);
    pool().parallel_for((count + kTask - 1) / kTask, [&](int64_t task) {
        for (int64_t i = task * kTask; i < std::min(count, (task + 1) * kTask); ++i) {
            Nearest nearest(others);
            tree.search(i, nearest);
            double total = 0;
            for (int j = 0; j < others; ++j) total += nearest.distance[j];
            out[tree.index(i)] = float(total / others);
        }
    });
}

}  // namespace splat
