// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/notes_file.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "test/fake/temporary_folder.hpp"

namespace {

using namespace ipvs;

const std::string kHere = "0e7c net:[4026531840] 1";

class Directory {
 public:
  std::string run() const { return folder_.path("run"); }
  std::string file() const { return run() + "/notes-4026531840"; }
  std::uintmax_t size() const { return std::filesystem::file_size(file()); }
  // What the next start reads.
  Notes read(const std::string& where = kHere) const { return NotesFile(run(), where).read(); }

 private:
  fake::TemporaryFolder folder_;
};

Note note(const std::string& key, const std::string& value) { return {key, value}; }

void change(NotesFile& file, const std::vector<Note>& notes) { file.change(notes); }

}  // namespace

TEST_CASE("the next start reads the notes of this one") {
  const Directory directory;
  NotesFile file(directory.run(), kHere);
  CHECK(file.read() == Notes{});
  change(file, {note("pod default/web-1", "1 30 5 35"), note("service default/a", "60 -")});
  CHECK(directory.read() ==
        Notes{{"pod default/web-1", "1 30 5 35"}, {"service default/a", "60 -"}});
  change(file, {{"pod default/web-1", std::nullopt}, note("service default/a", "60 7 = 8")});
  CHECK(directory.read() == Notes{{"service default/a", "60 7 = 8"}});

  // And goes on with them.
  NotesFile next(directory.run(), kHere);
  CHECK(next.read().size() == 1);
  change(next, {note("b", "1")});
  CHECK(directory.read() == Notes{{"b", "1"}, {"service default/a", "60 7 = 8"}});
}

TEST_CASE("notes of another boot or network namespace do not count") {
  const Directory directory;
  NotesFile file(directory.run(), kHere);
  change(file, {note("a", "1")});
  CHECK(directory.read("other net:[4026531840] 1") == Notes{});
  CHECK(directory.read("0e7c net:[4026531840] 2") == Notes{});
  CHECK(directory.read("0e7c net:[4026531841] 1") == Notes{});
}

TEST_CASE("a line of the notes that is garbage or was cut off costs only itself") {
  const Directory directory;
  std::filesystem::create_directories(directory.run());
  std::ofstream(directory.file()) << notes_heading(kHere) << "+a = 1\n\n+\n= \n+ = 2\nx\n"
                                  << std::string("+\0\xff = 3\n", 8) << "+b = 4\n+c = cut";
  const Notes notes = directory.read();
  CHECK(notes.at("a") == "1");
  CHECK(notes.at("b") == "4");
  CHECK_FALSE(notes.contains("c"));
  // A directory, and nothing at all, are no notes.
  std::filesystem::remove(directory.file());
  CHECK(directory.read() == Notes{});
  std::filesystem::create_directory(directory.file());
  CHECK(directory.read() == Notes{});
}

TEST_CASE("the file of notes does not grow with the number of changes") {
  const Directory directory;
  NotesFile file(directory.run(), kHere);
  for (int i = 0; i < 5000; ++i) change(file, {note("pod default/web", std::to_string(i))});
  CHECK(directory.size() < 20000);
  CHECK(directory.read() == Notes{{"pod default/web", "4999"}});
}

TEST_CASE("notes that were lost, or could not be written, are written again") {
  const Directory directory;
  NotesFile file(directory.run(), kHere);
  CHECK(file.check().has_value());
  CHECK_FALSE(std::filesystem::exists(directory.file()));  // there is nothing to write yet
  change(file, {note("a", "1")});
  std::filesystem::remove(directory.file());
  CHECK(file.check().has_value());
  CHECK(directory.read() == Notes{{"a", "1"}});

  std::filesystem::remove_all(directory.run());
  std::ofstream(directory.run()) << "in the way";
  change(file, {note("b", "2")});
  REQUIRE_FALSE(file.check().has_value());
  CHECK(file.check().error().what.find("the notes for the next start") != std::string::npos);
  std::filesystem::remove(directory.run());
  CHECK(file.check().has_value());
  CHECK(directory.read() == Notes{{"a", "1"}, {"b", "2"}});
  CHECK(file.remove().has_value());
  CHECK(directory.read() == Notes{});
}

TEST_CASE("without a directory there are no notes, and no error") {
  NotesFile file("", kHere);
  change(file, {note("a", "1")});
  CHECK(file.read() == Notes{});
  CHECK(file.check().has_value());
  CHECK(file.remove().has_value());
}
