// Text on a picture, by Tesseract in a process of its own: what it reads is drawn by a guest, and a
// program that reads it must be able to die. Functions; thread-safe.
#pragma once

#include <string>

#include "appliance/verify/picture.h"

namespace appliance::verify {

// The text in lines; empty if there is none or it could not be recognised in time. Takes about a
// third of a second. `directory` is for a temporary file. Throws not_found if Tesseract is missing.
std::string recognise_text(const Picture& picture, const std::string& directory);

}  // namespace appliance::verify
