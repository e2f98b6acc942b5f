#include "base/program.h"

#include <sys/time.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "base/nearest_word.h"
#include "base/program_completion.h"
#include "base/program_description.h"
#include "base/program_help.h"
#include "base/program_manual.h"

namespace base {
namespace {

using Catch::Matchers::Contains;
using Words = std::vector<std::string>;

void declare_start(options::options_description_easy_init add) {
  using options::value;
  add("network", value<Words>()->value_name("none|isolated:NAME|nat"), "network of a card");
  add("memory", value<std::string>()->value_name("SIZE"), "memory, such as 2G");
  add("then", value<Words>()->value_name("POINT,…"), "points to start next");
  add("wait", "wait until the guest answers");
  add("socket", value<std::string>()->value_name("PATH"), "the appliance's socket");
  add("state-directory", value<std::string>()->value_name("DIR"), "folder of the state");
}

void declare_import(options::options_description_easy_init add) {
  using options::value;
  add("machine", value<std::string>()->required()->value_name("NAME"), "the machine");
  add("disk", value<Words>()->value_name("NAME=FILE"), "a disk and its image");
  add("format,f", value<std::string>()->default_value("raw")->value_name("raw|qcow2"), "format");
}

// What the last command that ran was given.
std::string ran;

Program example() {
  auto run = [](const char* name) {
    return [name](const Arguments& arguments) {
      ran = name;
      if (arguments.has("state-directory")) ran += " in " + arguments.get("state-directory");
      return 0;
    };
  };
  Program program;
  program.name = "crane";
  program.summary = "move things";
  Command start, list, import, power;
  start.name = "boot start";
  start.summary = "Start instant VMs";
  start.positional = {"POINT*"};
  start.declare_options = declare_start;
  start.run = run("start");
  start.notes = "First paragraph.\n\nSecond paragraph.";
  list.name = "boot list";
  list.summary = "List instant VMs";
  list.run = run("list");
  import.name = "import";
  import.summary = "Import images";
  import.positional = {"DIR"};
  import.declare_options = declare_import;
  import.run = run("import");
  power.name = "boot power";
  power.summary = "Switch power";
  power.positional = {"BOOT", "ACTION"};
  power.values = {{"ACTION", "reset|pause"}};
  power.run = run("power");
  program.commands = {start, list, import, power};
  program.nouns = {{"boot", "instant VMs"}};
  program.shared = {"Connection options", {"socket"}};
  program.old_options = {{"state-dir", "state-directory"}};
  program.names = [](const NameRequest& request) -> std::vector<Candidate> {
    if (request.kind == "BOOT") throw Error(ErrorCode::unavailable, "nobody answers");
    if (request.kind != "POINT") return {};
    std::string socket = request.arguments.get_or<std::string>("socket", "default");
    return {{"web@latest", "over " + socket}, {"db@latest", ""}};
  };
  return program;
}

struct Outcome {
  int code = 0;
  std::string output;
  std::string error;
};

Outcome run(Words words) {
  words.insert(words.begin(), "crane");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  std::ostringstream output, error;
  auto* old_output = std::cout.rdbuf(output.rdbuf());
  auto* old_error = std::cerr.rdbuf(error.rdbuf());
  ran.clear();
  int code = run_program(example(), static_cast<int>(pointers.size()), pointers.data());
  std::cout.rdbuf(old_output);
  std::cerr.rdbuf(old_error);
  return {code, output.str(), error.str()};
}

Words texts(const Completion& completion) {
  Words words;
  for (const Candidate& candidate : completion.candidates) words.push_back(candidate.text);
  std::sort(words.begin(), words.end());
  return words;
}

Words complete_texts(const Words& words) { return texts(complete(example(), words)); }

}  // namespace

TEST_CASE("the nearest word is one that a slip of the finger makes") {
  Words words{"start", "status", "stop", "list"};
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("strat", "start") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(nearest_word("strat", words) == "start");
  CHECK(nearest_word("lst", words) == "list");
  CHECK(nearest_word("x", words).empty());
  CHECK(nearest_word("machine", words).empty());
  CHECK(nearest_word("", words).empty());
  CHECK(did_you_mean("boot ", "strat", words) == "; did you mean 'boot start'?");
}

TEST_CASE("usage lines name the words and options of a command") {
  Program program = example();
  CHECK(usage_line(program, describe(program, program.commands[0])) ==
        "usage: crane boot start [POINT...] [--network none|isolated:NAME|nat]...\n"
        "          [--memory SIZE] [--then POINT,…]... [--wait] [--state-directory DIR]\n"
        "          [connection options] [--output text|json]\n");
  CHECK(usage_line(program, describe(program, program.commands[2])) ==
        "usage: crane import DIR --machine NAME [--disk NAME=FILE]...\n"
        "          [--format raw|qcow2] [--output text|json]\n");
}

TEST_CASE("help shows values, defaults and what may be repeated") {
  Outcome outcome = run({"import", "--help"});
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, Contains("  --machine NAME          the machine; required\n"));
  CHECK_THAT(outcome.output, Contains("  -f, --format raw|qcow2  format (default: raw)\n"));
  CHECK_THAT(outcome.output, Contains("; may be repeated"));
  outcome = run({"help", "boot", "start"});
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, Contains("\nConnection options:\n  --socket PATH"));
  CHECK_THAT(outcome.output, Contains("First paragraph.\n\nSecond paragraph.\n"));
  CHECK_THAT(run({"boot", "--help"}).output, Contains("crane boot: instant VMs"));
  CHECK_THAT(run({"--help"}).output, Contains("boot start"));
  CHECK(run({}).code == 2);
}

TEST_CASE("texts are broken at spaces, and paragraphs are kept") {
  CHECK(wrap_text("one two three", 0, 8) == "one two\nthree");
  CHECK(wrap_text("one\ntwo", 2, 80) == "one two");
  CHECK(wrap_text("one\n\ntwo", 2, 80) == "one\n\n  two");
  CHECK(wrap_text("unbreakable", 0, 4) == "unbreakable");
}

TEST_CASE("a wrong word or option is answered with the nearest real one") {
  CHECK(run({"imprt"}).error ==
        "crane: there is no command 'imprt'; did you mean 'import'? (see 'crane --help')\n");
  CHECK(run({"boot", "strat"}).error ==
        "crane: 'boot' has no command 'strat'; did you mean 'boot start'? (see 'crane boot "
        "--help')\n");
  CHECK_THAT(run({"boot", "start", "--memroy", "2G"}).error,
             Contains("there is no option '--memroy'; did you mean '--memory'?"));
  CHECK_THAT(run({"boot", "start", "--elephant"}).error,
             Contains("there is no option '--elephant' (see"));
  CHECK_THAT(run({"boot", "start", "--memory"}).error,
             Contains("--memory needs a value: --memory SIZE"));
  CHECK_THAT(run({"boot", "start", "--wait=5"}).error, Contains("--wait takes no value"));
  CHECK_THAT(run({"import"}).error, Contains("DIR is missing"));
  CHECK_THAT(run({"import", "x"}).error, Contains("--machine is missing: --machine NAME"));
  CHECK_THAT(run({"import", "x", "y"}).error, Contains("no more words than DIR"));
  CHECK_THAT(run({"boot", "list", "x"}).error, Contains("options only"));
  CHECK_THAT(run({"boot", "list", "-o", "xml"}).error, Contains("text or json, not 'xml'"));
  CHECK(run({"boot", "list", "x"}).code == 2);
}

TEST_CASE("options that had another name before are still read") {
  CHECK(run({"boot", "start", "--state-dir", "/a"}).code == 0);
  CHECK(ran == "start in /a");
  CHECK(run({"boot", "start", "--state-dir=/b"}).code == 0);
  CHECK(ran == "start in /b");
  CHECK(run({"boot", "start", "--state-directory=/c"}).code == 0);
  CHECK(ran == "start in /c");
  CHECK(run({"boot", "start", "--help"}).output.find("--state-dir ") == std::string::npos);
}

TEST_CASE("completion offers commands, options and values") {
  CHECK(complete_texts({""}) == Words{"boot", "import"});
  CHECK(complete(example(), {"b"}).candidates.front().description == "instant VMs");
  CHECK(complete_texts({"boot", ""}) == Words{"list", "power", "start"});
  CHECK(complete_texts({"boot", "st"}) == Words{"start"});
  CHECK(complete_texts({"help", "boot", "l"}) == Words{"list"});
  CHECK(complete_texts({"-"}) == Words{"--help", "--version"});
  CHECK(complete_texts({"import", "--f"}) == Words{"--format"});
  CHECK(complete_texts({"import", "--format", ""}) == Words{"qcow2", "raw"});
  CHECK(complete_texts({"import", "-f", "q"}) == Words{"qcow2"});
  CHECK(complete_texts({"import", "--format=q"}) == Words{"--format=qcow2"});
  CHECK(complete_texts({"boot", "list", "--output", ""}) == Words{"json", "text"});
  CHECK(complete_texts({"nonsense", ""}).empty());
}

TEST_CASE("a value that stands for something is completed up to there") {
  CHECK(complete_texts({"boot", "start", "--network", "i"}) == Words{"isolated:"});
}

TEST_CASE("an option that was given is not offered again, unless it may be repeated") {
  Words offered = complete_texts({"boot", "start", "--wait", "--network", "nat", "--"});
  CHECK(std::count(offered.begin(), offered.end(), "--wait") == 0);
  CHECK(std::count(offered.begin(), offered.end(), "--network") == 1);
}

TEST_CASE("completion tells where files and folders come") {
  CHECK(complete(example(), {"import", ""}).kind == Completion::Kind::directories);
  Completion disk = complete(example(), {"import", "d", "--disk", "vda=/sr"});
  CHECK(disk.kind == Completion::Kind::files);
  CHECK(disk.prefix == "vda=");
  disk = complete(example(), {"import", "d", "--disk=vda=/sr"});
  CHECK(disk.prefix == "--disk=vda=");
  CHECK(completion_text(disk) == "files --disk=vda=\n");
  CHECK(complete(example(), {"import", "d", "--disk", "vd"}).kind == Completion::Kind::words);
}

TEST_CASE("completion asks for names, with the options that were given") {
  Completion names = complete(example(), {"boot", "start", "--socket", "/s", "w"});
  CHECK(completion_text(names) == "words \nweb@latest\tover /s\n");
  CHECK(complete_texts({"boot", "start", "web@latest", ""}) == Words{"db@latest", "web@latest"});
  CHECK(complete_texts({"boot", "start", "--then", "web@latest,d"}) ==
        Words{"web@latest,db@latest"});
  CHECK(complete_texts({"boot", "power", "x", ""}) == Words{"pause", "reset"});
  CHECK_THROWS_AS(complete(example(), {"boot", "power", ""}), Error);
}

TEST_CASE("completion that fails is silent") {
  Outcome outcome = run({"__complete", "boot", "power", ""});
  CHECK(outcome.output.empty());
  CHECK(outcome.error.empty());
  itimerval left{};
  ::getitimer(ITIMER_REAL, &left);
  CHECK(left.it_value.tv_usec == 0);  // its deadline ends with it
}

TEST_CASE("a candidate cannot steer the terminal") {
  Completion completion;
  completion.candidates = {{"a\x1b[31m\nb", "c\td"}};
  CHECK(completion_text(completion) == "words \na[31mb\tcd\n");
}

TEST_CASE("each shell has its script, and no other") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    std::string script = completion_script("crane-x", shell);
    CHECK_THAT(script, Contains("crane-x") && Contains("__complete"));
    CHECK(script.find("PROGRAM") == std::string::npos);
    CHECK(script.find("FUNCTION") == std::string::npos);
  }
  CHECK_THROWS_WITH(completion_script("crane", "csh"), Contains("bash, zsh or fish"));
}

TEST_CASE("a program with nouns has a manual page for each, and one for itself") {
  std::vector<ManualPage> pages = manual_pages(example(), "2026-11-28");
  REQUIRE(pages.size() == 2);
  CHECK(pages[0].file == "man1/crane.1");
  CHECK(pages[1].file == "man1/crane-boot.1");
  for (const char* section :
       {".SH NAME\ncrane\\-boot \\- instant VMs\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n",
        ".SH OPTIONS\n", ".SH EXIT STATUS\n", ".SH SEE ALSO\n", ".SS crane boot start\n",
        "\\fB\\-\\-memory\\fR \\fISIZE\\fR\n"})
    CHECK_THAT(pages[1].text, Contains(section));
  CHECK_THAT(pages[0].text, Contains(".SS crane import\n") && Contains("crane\\-boot(1)"));
}

TEST_CASE("text cannot be a request of a manual page") {
  Program program = example();
  program.commands[2].notes = ".so /etc/passwd is text, and so is \\fB";
  std::string text = manual_pages(program, "2026-11-28").front().text;
  CHECK_THAT(text, Contains("\n\\&.so /etc/passwd") && Contains("\\efB"));
}

}  // namespace base
