// ZIP (with its 64-bit form where sizes need it), for people on Windows: folders, files compressed
// with deflate, symbolic links as Unix zip keeps them, times to the second, Unix permissions and
// owners. Holes become zeros, hard links are files of their own; extended attributes and devices are
// not in it. Names are UTF-8: bytes that are not, and what Windows would take for a separator ('\'
// and ':'), are written as name_text.h does. Source: PKWARE's APPNOTE.TXT 6.3.10. Not thread-safe.
#pragma once

#include <zlib.h>

#include <cstdio>
#include <memory>

#include "images/files/archive_writer.h"

namespace images::files {

class ZipWriter : public ArchiveWriter {
 public:
  // The list of files at the end is kept in an unlinked file meanwhile. Throws as system_error.
  ZipWriter();
  ~ZipWriter() override;

  bool add(const std::string& path, const Node& node, const std::string* first_path,
           std::string& out) override;
  void begin_file(const std::string& path, const Node& node, const std::vector<DataRange>& ranges,
                  std::string& out) override;
  void content(base::ByteView bytes, std::string& out) override;
  void end_file(std::string& out) override;
  bool finish(std::string& out) override;
  bool wants_holes() const override { return true; }

 private:
  struct Member {
    std::string name;
    Node node;
    uint16_t method = 0;
    bool is_wide = false;  // its sizes take 64 bits
    uint32_t checksum = 0;
    uint64_t size = 0, packed_size = 0, place = 0;
  };
  void begin(const std::string& path, const Node& node, uint16_t method, std::string& out);
  void deflate_to(std::string& out, int flush);
  void close_member(std::string& out);
  void put_end(std::string& out) const;
  // What was appended since `before`.
  void count(size_t before, const std::string& out) { place_ += out.size() - before; }

  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, CloseFile> list_;
  z_stream packer_{};
  Member member_;
  uint64_t place_ = 0;  // bytes so far
  uint64_t member_count_ = 0, list_size_ = 0, list_read_ = 0;
  uint64_t list_place_ = 0;
  bool is_listing_ = false;
};

}  // namespace images::files
