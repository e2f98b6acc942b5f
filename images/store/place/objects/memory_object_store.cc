#include "images/store/place/objects/memory_object_store.h"

#include <algorithm>

#include "base/error.h"

namespace images {

using base::Error;
using base::ErrorCode;

std::optional<ObjectInfo> MemoryObjectStore::put(const std::string& name, base::ByteView bytes,
                                                 const PutOptions& options) {
  auto before = state_.lock()->before_put;
  if (before) before(name);
  auto state = state_.lock();
  auto found = state->objects.find(name);
  const bool is_there = found != state->objects.end();
  if (options.only == PutOptions::Only::if_absent && is_there) return std::nullopt;
  if (options.only == PutOptions::Only::if_version &&
      (!is_there || found->second.info.version != options.version))
    return std::nullopt;
  ObjectInfo info{name, bytes.size(), std::to_string(++state->put_count), state->now_ms,
                  options.writer};
  state->objects[name] = {base::Bytes(bytes.begin(), bytes.end()), info};
  return info;
}

std::optional<ObjectInfo> MemoryObjectStore::find(const std::string& name) {
  auto state = state_.lock();
  auto found = state->objects.find(name);
  if (found == state->objects.end()) return std::nullopt;
  return found->second.info;
}

void MemoryObjectStore::read(const std::string& name, uint64_t offset, base::MutableByteView out) {
  auto state = state_.lock();
  auto found = state->objects.find(name);
  if (found == state->objects.end())
    throw Error(ErrorCode::not_found, "there is no object " + name + " in " + location_);
  const base::Bytes& bytes = found->second.bytes;
  if (offset > bytes.size() || out.size() > bytes.size() - offset)
    throw Error(ErrorCode::corrupt, name + " ends too early");
  std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
}

ObjectPage MemoryObjectStore::list(const std::string& prefix, const std::string& from) {
  ObjectPage page;
  auto state = state_.lock();
  auto each = state->objects.lower_bound(std::max(prefix, from));
  while (each != state->objects.end() && each->first.starts_with(prefix)) {
    if (page.objects.size() + page.folders.size() == page_size_) {
      page.next = each->first;
      break;
    }
    size_t slash = each->first.find('/', prefix.size());
    if (slash == std::string::npos) {
      page.objects.push_back(each->second.info);
      page.objects.back().writer = 0;
      ++each;
      continue;
    }
    page.folders.push_back(each->first.substr(prefix.size(), slash + 1 - prefix.size()));
    // '0' follows '/': after everything in that folder.
    each = state->objects.lower_bound(each->first.substr(0, slash) + '0');
  }
  return page;
}

void MemoryObjectStore::remove(const std::string& name) { state_.lock()->objects.erase(name); }

uint64_t MemoryObjectStore::now_ms() { return state_.lock()->now_ms; }

void MemoryObjectStore::advance(uint64_t time_ms) { state_.lock()->now_ms += time_ms; }

void MemoryObjectStore::before_each_put(std::function<void(const std::string&)> call) {
  state_.lock()->before_put = std::move(call);
}

uint64_t MemoryObjectStore::put_count() const { return state_.lock()->put_count; }

}  // namespace images
