// SPDX-License-Identifier: Apache-2.0
//
// Makes certificates at run time, so that no test contains one that will expire.
#pragma once

#include <string>
#include <vector>

namespace fake {

// PEM texts.
struct Certificate {
  std::string certificate;
  std::string key;
};

Certificate make_authority(const std::string& common_name);

struct CertificateRequest {
  std::string common_name = {};
  std::vector<std::string> names = {};  // subjectAltName entries: "IP:127.0.0.1", "DNS:localhost"
  bool expired = false;
};
Certificate issue(const Certificate& authority, const CertificateRequest& request);

// The same key with a passphrase: in PKCS #8, or in the older form with a header.
enum class Encryption { kPkcs8, kTraditional };
std::string encrypted(const std::string& key, Encryption form);
// The block of any PEM text with the header that says it is encrypted.
std::string marked_encrypted(std::string pem);

}  // namespace fake
