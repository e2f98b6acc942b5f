// Whether an index can be trusted. LMDB checks almost nothing of what it reads: a damaged page
// makes it crash, miss entries, or return pages that are in use. So before a writer uses an index,
// a helper process examines every page of every table:
//
//   leaf pages      keys ascend, every value decodes (each carries a checksum), counts are right
//   branch pages    a lookup from the root finds the first and the last key of each leaf
//   free pages      the lists are sorted, name each page once, and none that is in use
//
// What remains undetected: a bit of a list of free pages that turns into the number of a branch
// page.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>

#include "base/error.h"
#include "images/store/index/chunk_index.h"
#include "images/store/index/index_environment.h"

namespace images {
namespace {

using base::ByteView;
using index::check;
using index::view_of;

[[noreturn]] void damaged(const char* what) { throw base::Error(base::ErrorCode::corrupt, what); }

class Walk {
 public:
  explicit Walk(const index::Environment& environment) : environment_(environment) {
    MDB_envinfo info;
    MDB_stat stat;
    check(mdb_env_info(environment.get(), &info), "examine");
    check(mdb_env_stat(environment.get(), &stat), "examine");
    page_size_ = stat.ms_psize;
    in_use_.resize(info.me_last_pgno + 1);
    check(mdb_txn_begin(environment.get(), nullptr, MDB_RDONLY, &txn_), "begin");
  }
  ~Walk() { mdb_txn_abort(txn_); }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  void run() {
    const index::Tables& tables = environment_.tables();
    constexpr MDB_dbi kFreeTable = 0, kMainTable = 1;
    walk(kMainTable);
    for (MDB_dbi table : {tables.chunks, tables.packs, tables.points, tables.timeline,
                          tables.departures, tables.facts})
      walk(table);
    walk_free_pages(kFreeTable);
  }

 private:
  // Notes the page that contains a key or value. Every page begins with its own number.
  const uint8_t* use_page(const void* at) {
    auto address = reinterpret_cast<uintptr_t>(at) / page_size_ * page_size_;
    auto* page = reinterpret_cast<const uint8_t*>(address);
    uint64_t number = base::load_u64(page);
    if (number >= in_use_.size()) damaged("a page has an impossible number");
    const uint8_t* map = page - number * page_size_;
    if (map_ == nullptr) map_ = map;
    if (map != map_) damaged("a page is in another one's place");
    in_use_[number] = true;
    return page;
  }

  void require_found(MDB_dbi table, MDB_val key, const void* value) {
    MDB_val found;
    bool good = mdb_get(txn_, table, &key, &found) == MDB_SUCCESS && found.mv_data == value;
    if (!good) damaged("an entry is not found from the root");
  }

  void walk(MDB_dbi table) {
    MDB_val last_key{0, nullptr}, last_value{0, nullptr};
    const uint8_t* last_page = nullptr;
    uint64_t count = for_each(table, [&](const MDB_val& key, const MDB_val& value) {
      const uint8_t* page = use_page(key.mv_data);
      if (value.mv_size != 0) use_page(value.mv_data);
      if (last_page != nullptr &&
          !std::ranges::lexicographical_compare(view_of(last_key), view_of(key))) {
        damaged("the keys of a table do not ascend");
      }
      if (page != last_page) {
        if (last_page != nullptr) require_found(table, last_key, last_value.mv_data);
        require_found(table, key, value.mv_data);
      }
      last_page = page, last_key = key, last_value = value;
    });
    if (last_page != nullptr) require_found(table, last_key, last_value.mv_data);
    require_count(table, count);
  }

  // A list is a count and page numbers, largest first; its key is the transaction that freed them.
  void walk_free_pages(MDB_dbi table) {
    std::vector<bool> free(in_use_.size());
    std::vector<ByteView> lists;
    uint64_t count = for_each(table, [&](const MDB_val& key, const MDB_val& value) {
      use_page(key.mv_data);
      use_page(value.mv_data);
      if (key.mv_size != 8 || value.mv_size % 8 != 0 || value.mv_size < 8)
        damaged("a list of free pages has a bad length");
      lists.push_back(view_of(value));
    });
    require_count(table, count);
    for (ByteView list : lists) {
      uint64_t length = base::load_u64(list.data());
      if (length > list.size() / 8 - 1) damaged("a list of free pages has a bad length");
      uint64_t above = in_use_.size();
      for (uint64_t i = 1; i <= length; ++i) {
        uint64_t page = base::load_u64(list.data() + 8 * i);
        if (page >= above || page < 2 || free[page] || in_use_[page])
          damaged("a page that is in use is listed as free");
        free[page] = true;
        above = page;
      }
    }
  }

  void require_count(MDB_dbi table, uint64_t count) {
    MDB_stat stat;
    check(mdb_stat(txn_, table, &stat), "examine");
    if (stat.ms_entries != count)
      damaged("a table has a different number of entries than it states");
  }

  uint64_t for_each(MDB_dbi table,
                    const std::function<void(const MDB_val&, const MDB_val&)>& visit) {
    MDB_cursor* cursor = nullptr;
    check(mdb_cursor_open(txn_, table, &cursor), "read");
    MDB_val key, value;
    uint64_t count = 0;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
      visit(key, value);
      ++count;
    }
    mdb_cursor_close(cursor);
    if (code != MDB_NOTFOUND) check(code, "read");
    return count;
  }

  const index::Environment& environment_;
  MDB_txn* txn_ = nullptr;
  uint64_t page_size_ = 0;
  const uint8_t* map_ = nullptr;
  std::vector<bool> in_use_;
};

// Decodes every value, and checks that related values agree.
void decode_everything(ChunkIndex& index) {
  auto transaction = index.read();
  uint32_t last_pack = 0;
  transaction->for_each_pack([&](uint32_t number, const PackEntry&) { last_pack = number; });
  if (last_pack >= transaction->number("next pack", 1) && last_pack != 0)
    damaged("a pack's number was never assigned");
  uint64_t point_count = 0;
  transaction->for_each_point([&](const format::PublicManifest&) { ++point_count; });
  if (transaction->points_with_prefix("", point_count + 1).size() != point_count)
    damaged("a point has no place on its timeline");
  transaction->for_each_chunk([](const ChunkId&, const ChunkEntry&) {});
  transaction->pending_change();
  transaction->departures(transaction->departure_count());
  for (const char* name : {"epoch", "compacted at", "rebuilding", "recount"})
    transaction->number(name, 0);
}

bool is_whole(const std::string& directory, const StoreId& store) {
  try {
    // Not the shared one: after fork() its lock may be held by a thread that does not exist here.
    {
      index::Environment environment(directory, store, false);
      Walk(environment).run();
    }
    decode_everything(*ChunkIndex::open_alone(directory, store));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

bool index_is_whole(const std::string& directory, const StoreId& store) {
  // An environment must not be used across fork(); one that this process already reads was intact
  // when it was opened.
  if (index::is_open_here(directory)) return true;
  pid_t child = ::fork();
  if (child < 0) throw base::system_error(errno, "cannot start a process to examine the index");
  if (child == 0) {
    // The store's locks now belong to this process too: it must not outlive the parent.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close_range(3, ~0u, 0);
    for (int number : {SIGSEGV, SIGBUS, SIGABRT}) ::signal(number, SIG_DFL);
    ::close(2);  // LMDB reports a failed assertion there; the caller reports it in its own message
    ::_exit(is_whole(directory, store) ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace images
