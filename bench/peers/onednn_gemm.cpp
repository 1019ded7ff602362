// Times oneDNN's matrix products at the shapes that it reads, to stand beside
// those of `mqc bench gemm`.
//
//   g++ -O2 -std=c++17 -fopenmp onednn_gemm.cpp -ldnnl -o onednn_gemm
//   echo "NT 2048 512 512 train 25" | ./onednn_gemm f32 2
//
// A line of input is: kind M N K use count.
//
//   NT  y (M, N) = x (M, K) · w (N, K)ᵀ   forward: w are weights
//   NN  y (M, N) = x (M, K) · w (K, N)    gradient of the input: w are weights
//   TN  y (M, N) = x (K, M)ᵀ · w (K, N)   gradient of the weights
//
// Everything is row major. The arguments are the precision, f32 or bf16 (bf16
// operands, f32 sums and results), the number of threads, and optionally how
// many milliseconds to call each variant for. oneDNN gets its best of
//
//   plain     the layouts above
//   packed    NT, NN: w in the layout that oneDNN likes, made outside the
//             timing, as weights are once a step
//   reordered TN: both operands brought into the layouts that oneDNN likes,
//             inside the timing, because activations are new in every call
//
// and the answer is one line of JSON for each shape.

#include <dnnl.hpp>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

using namespace dnnl;
using dim = memory::dim;
using arguments = std::unordered_map<int, memory>;

struct Shape {
    std::string kind, use;
    dim m, n, k;
    int count;
};

struct Timing {
    std::string layout, implementation;
    double median = 1e300, best = 1e300; // ms
};

static double budget_ms = 100;

// Calls work until the budget is used up, at least five times.
static Timing clock_calls(const std::string &layout, const std::string &implementation, const std::function<void()> &work) {
    using clock = std::chrono::steady_clock;
    auto since = [](clock::time_point t) { return std::chrono::duration<double, std::milli>(clock::now() - t).count(); };
    for (int i = 0; i < 3; i++) work();
    std::vector<double> times;
    for (auto begin = clock::now(); times.size() < 5 || since(begin) < budget_ms;) {
        auto start = clock::now();
        work();
        times.push_back(since(start));
    }
    std::sort(times.begin(), times.end());
    size_t n = times.size();
    return {layout, implementation, (times[(n - 1) / 2] + times[n / 2]) / 2, times[0]};
}

class Bench {
public:
    explicit Bench(memory::data_type type) : type_(type), engine_(engine::kind::cpu, 0), stream_(engine_) {}

    Timing run(const Shape &s) {
        using tag = memory::format_tag;
        // oneDNN sees op(X) as (M, K) and op(W) as (K, N); ba is transposed.
        memory::desc x({s.m, s.k}, type_, s.kind == "TN" ? tag::ba : tag::ab);
        memory::desc w({s.k, s.n}, type_, s.kind == "NT" ? tag::ba : tag::ab);
        memory::desc y({s.m, s.n}, memory::data_type::f32, tag::ab);
        memory X = filled(x, 1), W = filled(w, 2), Y(y, engine_);

        std::vector<Timing> all;
        {
            auto pd = product(x, w, y);
            matmul multiply(pd);
            arguments args{{DNNL_ARG_SRC, X}, {DNNL_ARG_WEIGHTS, W}, {DNNL_ARG_DST, Y}};
            attach_scratchpad(pd, args);
            all.push_back(clock_calls("plain", pd.impl_info_str(), [&] { execute(multiply, args); }));
        }
        memory::desc any_w({s.k, s.n}, type_, tag::any);
        if (s.kind != "TN") {
            auto pd = product(x, any_w, y);
            matmul multiply(pd);
            memory packed(pd.weights_desc(), engine_);
            move(W, packed);
            arguments args{{DNNL_ARG_SRC, X}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, Y}};
            attach_scratchpad(pd, args);
            all.push_back(clock_calls("packed", pd.impl_info_str(), [&] { execute(multiply, args); }));
        } else {
            // Left to any, oneDNN may keep a transposed x; a plain copy is the
            // other candidate.
            for (bool straight : {false, true}) {
                memory::desc like({s.m, s.k}, type_, straight ? tag::ab : tag::any);
                auto pd = product(like, any_w, y);
                matmul multiply(pd);
                memory px = pd.src_desc() == x ? X : memory(pd.src_desc(), engine_);
                memory pw = pd.weights_desc() == w ? W : memory(pd.weights_desc(), engine_);
                std::vector<std::pair<reorder, arguments>> moves;
                if (px.get() != X.get()) moves.push_back({reorder(X, px), {{DNNL_ARG_FROM, X}, {DNNL_ARG_TO, px}}});
                if (pw.get() != W.get()) moves.push_back({reorder(W, pw), {{DNNL_ARG_FROM, W}, {DNNL_ARG_TO, pw}}});
                arguments args{{DNNL_ARG_SRC, px}, {DNNL_ARG_WEIGHTS, pw}, {DNNL_ARG_DST, Y}};
                attach_scratchpad(pd, args);
                all.push_back(clock_calls("reordered", pd.impl_info_str(), [&] {
                    for (auto &m : moves) m.first.execute(stream_, m.second);
                    execute(multiply, args);
                }));
            }
        }
        check(s, X, W, Y);
        return *std::min_element(all.begin(), all.end(), [](const Timing &a, const Timing &b) { return a.median < b.median; });
    }

private:
    matmul::primitive_desc product(const memory::desc &x, const memory::desc &w, const memory::desc &y) {
        primitive_attr attr;
        attr.set_scratchpad_mode(scratchpad_mode::user); // allocated once, not in every call
        return matmul::primitive_desc(matmul::desc(x, w, y), attr, engine_);
    }

    void attach_scratchpad(const matmul::primitive_desc &pd, arguments &args) {
        args[DNNL_ARG_SCRATCHPAD] = memory(pd.scratchpad_desc(), engine_);
    }

    void execute(const matmul &multiply, const arguments &args) {
        multiply.execute(stream_, args);
        stream_.wait();
    }

    void move(memory &from, memory &to) {
        reorder(from, to).execute(stream_, from, to);
        stream_.wait();
    }

    memory filled(const memory::desc &d, unsigned seed) {
        memory::desc f32(d.dims(), memory::data_type::f32, memory::format_tag::ab);
        memory plain(f32, engine_), out(d, engine_);
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        auto *p = static_cast<float *>(plain.get_data_handle());
        for (dim i = 0; i < d.dims()[0] * d.dims()[1]; i++) p[i] = normal(random);
        move(plain, out);
        return out;
    }

    // A few elements of the last result against sums in double precision.
    void check(const Shape &s, memory &X, memory &W, memory &Y) {
        auto plain = [&](memory &from) {
            memory to(memory::desc(from.get_desc().dims(), memory::data_type::f32, memory::format_tag::ab), engine_);
            move(from, to);
            return to;
        };
        memory x = plain(X), w = plain(W);
        auto *a = static_cast<float *>(x.get_data_handle()), *b = static_cast<float *>(w.get_data_handle());
        auto *y = static_cast<float *>(Y.get_data_handle());
        for (dim i = 0; i < 16; i++) {
            dim m = (i * 7919) % s.m, n = (i * 104729) % s.n;
            double sum = 0;
            for (dim k = 0; k < s.k; k++) sum += double(a[m * s.k + k]) * b[k * s.n + n];
            if (std::abs(sum - y[m * s.n + n]) > 1e-3 * std::max(1.0, std::abs(sum))) {
                std::fprintf(stderr, "onednn_gemm: %s %ldx%ldx%ld: element (%ld,%ld) is %g, want %g\n", s.kind.c_str(), long(s.m), long(s.n), long(s.k), long(m), long(n), y[m * s.n + n], sum);
                std::exit(1);
            }
        }
    }

    memory::data_type type_;
    engine engine_;
    stream stream_;
};

int main(int argc, char **argv) {
    const std::map<std::string, memory::data_type> types{{"f32", memory::data_type::f32}, {"bf16", memory::data_type::bf16}};
    if (argc < 3 || !types.count(argv[1]) || std::atoi(argv[2]) < 1) {
        std::fprintf(stderr, "usage: %s f32|bf16 THREADS [MILLISECONDS] < shapes\n", argv[0]);
        return 2;
    }
    int threads = std::atoi(argv[2]);
    if (argc > 3) budget_ms = std::atof(argv[3]);
    omp_set_num_threads(threads);
    try {
        Bench bench(types.at(argv[1]));
        auto *v = dnnl::version();
        for (std::string line; std::getline(std::cin, line);) {
            std::istringstream in(line);
            Shape s;
            if (!(in >> s.kind >> s.m >> s.n >> s.k >> s.use >> s.count)) {
                std::fprintf(stderr, "onednn_gemm: \"%s\": want: kind M N K use count\n", line.c_str());
                return 2;
            }
            Timing t = bench.run(s);
            double work = 2e-6 * double(s.m) * double(s.n) * double(s.k);
            std::printf("{\"work\":\"gemm\",\"peer\":\"oneDNN %d.%d.%d\",\"precision\":\"%s\",\"kind\":\"%s\",\"m\":%ld,\"n\":%ld,\"k\":%ld,\"use\":\"%s\",\"count\":%d,\"workers\":%d,"
                        "\"layout\":\"%s\",\"implementation\":\"%s\",\"ms\":%.5f,\"gflops\":%.2f,\"min_ms\":%.5f,\"best_gflops\":%.2f}\n",
                        v->major, v->minor, v->patch, argv[1], s.kind.c_str(), long(s.m), long(s.n), long(s.k), s.use.c_str(), s.count, threads,
                        t.layout.c_str(), t.implementation.c_str(), t.median, work / t.median, t.best, work / t.best);
            std::fflush(stdout);
        }
    } catch (const dnnl::error &e) {
        std::fprintf(stderr, "onednn_gemm: %s\n", e.what());
        return 1;
    }
}
