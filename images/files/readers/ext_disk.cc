#include "images/files/readers/ext_disk.h"

namespace images::files {
namespace {

thread_local DiskSource* opened_disk = nullptr;  // of the open that is running

errcode_t close_channel(io_channel channel) {
  if (--channel->refcount > 0) return 0;
  ext2fs_free_mem(&channel->name);
  ext2fs_free_mem(&channel);
  return 0;
}

errcode_t open_channel(const char*, int, io_channel* out);

errcode_t set_block_size(io_channel channel, int size) {
  channel->block_size = size;
  return 0;
}

errcode_t read_blocks64(io_channel channel, unsigned long long block, int count, void* data) {
  auto* disk = static_cast<DiskSource*>(channel->private_data);
  uint64_t unit = static_cast<uint64_t>(channel->block_size);
  uint64_t size = count < 0 ? static_cast<uint64_t>(-static_cast<int64_t>(count))
                            : static_cast<uint64_t>(count) * unit;
  if (block > disk->size() / unit || size > disk->size() - block * unit) return EXT2_ET_SHORT_READ;
  try {
    disk->read(block * unit, {static_cast<uint8_t*>(data), size});
    return 0;
  } catch (const std::exception&) {
    return EXT2_ET_SHORT_READ;
  }
}

errcode_t read_blocks(io_channel channel, unsigned long block, int count, void* data) {
  return read_blocks64(channel, block, count, data);
}

errcode_t write_nothing64(io_channel, unsigned long long, int, const void*) {
  return EXT2_ET_RO_FILSYS;
}
errcode_t write_nothing(io_channel, unsigned long, int, const void*) { return EXT2_ET_RO_FILSYS; }
errcode_t flush_nothing(io_channel) { return 0; }

errcode_t open_channel(const char*, int, io_channel* out) {
  io_channel channel = nullptr;
  errcode_t code = ext2fs_get_memzero(sizeof(struct_io_channel), &channel);
  if (code != 0) return code;
  code = ext2fs_get_memzero(8, &channel->name);
  if (code != 0) {
    ext2fs_free_mem(&channel);
    return code;
  }
  channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  channel->manager = ext_disk_manager();
  channel->block_size = 1024;
  channel->refcount = 1;
  channel->private_data = opened_disk;
  *out = channel;
  return 0;
}

}  // namespace

void set_ext_disk(DiskSource& disk) { opened_disk = &disk; }

io_manager ext_disk_manager() {
  static struct_io_manager manager = [] {
    struct_io_manager made{};
    made.magic = EXT2_ET_MAGIC_IO_MANAGER;
    made.name = "disk of a point";
    made.open = open_channel;
    made.close = close_channel;
    made.set_blksize = set_block_size;
    made.read_blk = read_blocks;
    made.read_blk64 = read_blocks64;
    made.write_blk = write_nothing;
    made.write_blk64 = write_nothing64;
    made.flush = flush_nothing;
    return made;
  }();
  return &manager;
}

}  // namespace images::files
