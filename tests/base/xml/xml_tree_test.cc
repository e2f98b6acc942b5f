#include "base/xml/xml_tree.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <pugixml.hpp>
#include <random>
#include <sstream>

#include "base/error.h"
#include "tests/skip.h"

namespace base::xml {
namespace {

const std::string kDefinition =
    "<?xml version='1.0'?><!-- of libvirt --><domain type='kvm'><name>a &amp; b</name>"
    "<memory unit='KiB'>2048</memory><os><type arch='x86_64'>hvm</type></os>"
    "<metadata><x:y xmlns:x='urn:x'><![CDATA[<free> text]]></x:y></metadata><devices/></domain>";

std::string text_of(const pugi::xml_document& document) {
  std::ostringstream out;
  document.child("domain").print(out, "", pugi::format_raw);
  return out.str();
}

std::string nested(int depth) {
  std::string xml;
  for (int i = 0; i < depth; ++i) xml += "<a>";
  for (int i = 0; i < depth; ++i) xml += "</a>";
  return xml;
}

}  // namespace

TEST_CASE("a packed definition is what an XML parser reads", "[boot]") {
  pugi::xml_document parsed, unpacked;
  REQUIRE(parsed.load_string(kDefinition.c_str(), pugi::parse_default & ~pugi::parse_cdata));
  unpack_xml(pack_xml(kDefinition), unpacked);
  CHECK(text_of(unpacked).find("<name>a &amp; b</name>") != std::string::npos);
  CHECK(unpacked.child("domain").child("memory").attribute("unit").as_string() ==
        std::string("KiB"));
  CHECK(unpacked.select_node("//x:y").node().text().as_string() == std::string("<free> text"));
}

TEST_CASE("definitions that are none are refused with a sentence", "[boot]") {
  CHECK_THROWS_WITH(pack_xml("<domain"), Catch::Contains("at byte"));
  CHECK_THROWS_AS(pack_xml(std::string(kMaxXml + 1, ' ')), base::Error);
  CHECK_NOTHROW(pack_xml(nested(kMaxXmlDepth)));
  CHECK_THROWS_WITH(pack_xml(nested(kMaxXmlDepth + 1)), Catch::Contains("too deep"));
  CHECK_THROWS_AS(pack_xml(nested(100'000)), base::Error);
}

TEST_CASE("whatever a parser that was taken over says, it is a document or an error", "[boot]") {
  const base::Bytes good = pack_xml(kDefinition);
  auto unpack = [](const base::Bytes& packed) {
    pugi::xml_document document;
    try {
      unpack_xml(packed, document);
    } catch (const base::Error& error) {
      CHECK(error.code() == base::ErrorCode::corrupt);
    }
  };
  for (size_t size = 0; size < good.size(); ++size)
    unpack({good.begin(), good.begin() + static_cast<ptrdiff_t>(size)});
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    base::Bytes bad = good;
    for (uint32_t n = random() % 4 + 1; n > 0; --n)
      bad[random() % bad.size()] =
          static_cast<uint8_t>(random() % 3 == 0 ? random() : random() % 6);
    unpack(bad);
  }
}

TEST_CASE("a definition is parsed without rights", "[boot]") {
  SKIP_UNLESS(tests::is_root() && !tests::is_sanitized(), "it needs root, and no sanitizer");
  CHECK(pack_xml_confined(kDefinition) == pack_xml(kDefinition));
  CHECK_THROWS_WITH(pack_xml_confined("<domain"), Catch::Contains("at byte"));
  try {
    pack_xml_confined(nested(100'000));
    FAIL("nothing was thrown");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::corrupt);
  }
}

}  // namespace base::xml
