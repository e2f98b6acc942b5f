// store_delete_bench STORE: deletes the point in the middle of its list, as the daemon does, which
// has the store open. Prints JSON with the seconds it took. See scripts/bench.
#include <chrono>
#include <cstdio>

#include "base/error.h"
#include "images/store/store_writer.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: store_delete_bench STORE\n");
    return 2;
  }
  try {
    auto writer = images::StoreWriter::open(base::real_file_system(), argv[1]);
    auto points = writer->reader().points();
    if (points.empty()) throw base::Error(base::ErrorCode::not_found, "the store has no points");
    auto begin = std::chrono::steady_clock::now();
    writer->delete_point(points[points.size() / 2].id);
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("{\"seconds\": %.6f}\n", seconds);
    return 0;
  } catch (const base::Error& error) {
    std::fprintf(stderr, "store_delete_bench: %s\n", error.what());
    return base::exit_code(error.code());
  }
}
