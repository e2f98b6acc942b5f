#include "images/store/store_key.h"

#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/format/store_format.h"
#include "images/store/place/layout.h"
#include "images/store/store_keyring.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kMaxKeyFile = 4096;
constexpr uint64_t kMinKeyFile = 32;
constexpr uint64_t kMaxWrappedKey = 4096;
constexpr std::string_view kAssociated = "muletto master key 1";

base::Key256 wrapping_key(const KeySource& source, const format::WrappedKey& wrapped) {
  if (wrapped.derivation == format::KeyDerivation::scrypt) {
    return base::stretch_passphrase(source.passphrase, wrapped.salt, wrapped.scrypt_log2_n);
  }
  return base::hmac_sha256(wrapped.salt, source.key_file);
}

StoreKeys keys_of(const base::Key256& master) {
  return {base::derive_key(master, "muletto chunk ids"),
          base::derive_key(master, "muletto records"),
          base::derive_key(master, "muletto manifests")};
}

base::Key256 unwrap(const KeySource& source, const format::WrappedKey& wrapped) {
  bool by_passphrase = wrapped.derivation == format::KeyDerivation::scrypt;
  if (by_passphrase ? source.passphrase.empty() : source.key_file.empty()) {
    throw Error(ErrorCode::unauthorized, by_passphrase
                                             ? "the store is encrypted; give its passphrase"
                                             : "the store is encrypted; give its key file");
  }
  base::Key256 master;
  if (!base::gcm_open(wrapping_key(source, wrapped), wrapped.nonce, base::as_bytes(kAssociated),
                      wrapped.sealed, master)) {
    throw Error(ErrorCode::unauthorized, by_passphrase ? "the passphrase is not this store's"
                                                       : "the key file is not this store's");
  }
  return master;
}

base::Bytes wrap(const base::Key256& master, const KeySource& source, uint32_t scrypt_log2_n) {
  format::WrappedKey wrapped;
  wrapped.derivation =
      source.passphrase.empty() ? format::KeyDerivation::key_file : format::KeyDerivation::scrypt;
  wrapped.scrypt_log2_n = scrypt_log2_n;
  wrapped.salt = base::random_array<32>();
  wrapped.nonce = base::random_array<12>();
  base::gcm_seal(wrapping_key(source, wrapped), wrapped.nonce, base::as_bytes(kAssociated), master,
                 wrapped.sealed);
  return format::encode_wrapped_key(wrapped);
}

base::Bytes read_wrapped_key(BlobStore& blobs) {
  return blobs.get(layout::key_file(""), kMaxWrappedKey);
}

}  // namespace

KeySource read_key_source(const std::string& passphrase_path, const std::string& key_path) {
  KeySource source;
  if (!passphrase_path.empty() && !key_path.empty()) {
    throw Error(ErrorCode::invalid_argument, "give a passphrase file or a key file, not both");
  }
  if (!passphrase_path.empty()) {
    base::Bytes text = base::read_to_end(passphrase_path, kMaxKeyFile);
    source.passphrase = base::trim(base::split(base::as_text(text), '\n').front());
    if (source.passphrase.empty()) {
      throw Error(ErrorCode::invalid_argument,
                  passphrase_path + " has no passphrase in its first line");
    }
  }
  if (!key_path.empty()) {
    source.key_file = base::read_to_end(key_path, kMaxKeyFile);
    if (source.key_file.size() < kMinKeyFile) {
      throw Error(ErrorCode::invalid_argument,
                  key_path + " is too short for a key file: at least 32 bytes");
    }
  }
  return source;
}

NewBlob new_store_key(const KeySource& source, uint32_t scrypt_log2_n) {
  auto master = base::random_array<32>();
  return {layout::key_file(""), wrap(master, source, scrypt_log2_n)};
}

StoreKeys open_store_keys(BlobStore& blobs, const KeySource& source) {
  return keys_of(unwrap(source, format::decode_wrapped_key(read_wrapped_key(blobs))));
}

void rewrap_store_key(BlobStore& blobs, const KeySource& old_source, const KeySource& new_source,
                      uint32_t scrypt_log2_n) {
  if (new_source.empty())
    throw Error(ErrorCode::invalid_argument, "the new passphrase or key file is missing");
  base::Bytes old_key = read_wrapped_key(blobs);
  base::Key256 master = unwrap(old_source, format::decode_wrapped_key(old_key));
  if (blobs.replace(layout::key_file(""), old_key, wrap(master, new_source, scrypt_log2_n))) return;
  throw Error(ErrorCode::busy,
              "another process changed the store's key at the same time; try again");
}

}  // namespace images
