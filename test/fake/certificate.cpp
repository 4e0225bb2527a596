// SPDX-License-Identifier: Apache-2.0
#include "test/fake/certificate.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

namespace fake {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;

void check(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("certificate: ") + what);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Bio reader(const std::string& text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  check(extension != nullptr, value.c_str());
  ::X509_add_ext(certificate, extension, -1);
  ::X509_EXTENSION_free(extension);
}

X509Ptr draft(EVP_PKEY* key, const std::string& common_name, bool expired) {
  static long serial = 1;
  constexpr long kDay = 86400;
  X509Ptr certificate(::X509_new());
  ::X509_set_version(certificate.get(), 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate.get()), serial++);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate.get()), -2 * kDay);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate.get()), expired ? -kDay : kDay);
  ::X509_set_pubkey(certificate.get(), key);
  const auto* name = reinterpret_cast<const unsigned char*>(common_name.c_str());
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                               name, -1, -1, 0);
  return certificate;
}

Certificate signed_texts(X509* certificate, EVP_PKEY* key, EVP_PKEY* signer) {
  check(::X509_sign(certificate, signer, ::EVP_sha256()) > 0, "X509_sign");
  const Bio certificate_text(::BIO_new(::BIO_s_mem()));
  const Bio key_text(::BIO_new(::BIO_s_mem()));
  check(::PEM_write_bio_X509(certificate_text.get(), certificate) == 1, "PEM_write_bio_X509");
  check(::PEM_write_bio_PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "PEM_write_bio_PrivateKey");
  return {.certificate = text_of(certificate_text.get()), .key = text_of(key_text.get())};
}

}  // namespace

Certificate make_authority(const std::string& common_name) {
  const Key key(EVP_EC_gen("P-256"));
  check(key != nullptr, "EVP_EC_gen");
  const X509Ptr certificate = draft(key.get(), common_name, false);
  ::X509_set_issuer_name(certificate.get(), ::X509_get_subject_name(certificate.get()));
  add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign");
  return signed_texts(certificate.get(), key.get(), key.get());
}

Certificate issue(const Certificate& authority, const CertificateRequest& request) {
  const X509Ptr issuer(
      ::PEM_read_bio_X509(reader(authority.certificate).get(), nullptr, nullptr, nullptr));
  const Key signer(
      ::PEM_read_bio_PrivateKey(reader(authority.key).get(), nullptr, nullptr, nullptr));
  check(issuer && signer, "not an authority");
  const Key key(EVP_EC_gen("P-256"));
  const X509Ptr certificate = draft(key.get(), request.common_name, request.expired);
  ::X509_set_issuer_name(certificate.get(), ::X509_get_subject_name(issuer.get()));
  std::string names;
  for (const std::string& name : request.names) names += (names.empty() ? "" : ",") + name;
  if (!names.empty()) add_extension(certificate.get(), issuer.get(), NID_subject_alt_name, names);
  return signed_texts(certificate.get(), key.get(), signer.get());
}

std::string encrypted(const std::string& key, Encryption form) {
  const Key read(::PEM_read_bio_PrivateKey(reader(key).get(), nullptr, nullptr, nullptr));
  check(read != nullptr, "not a key");
  const Bio text(::BIO_new(::BIO_s_mem()));
  std::string passphrase = "secret";
  auto* const bytes = reinterpret_cast<unsigned char*>(passphrase.data());
  const int size = static_cast<int>(passphrase.size());
  const int written =
      form == Encryption::kPkcs8
          ? ::PEM_write_bio_PKCS8PrivateKey(text.get(), read.get(), ::EVP_aes_256_cbc(),
                                            passphrase.data(), size, nullptr, nullptr)
          : ::PEM_write_bio_PrivateKey_traditional(text.get(), read.get(), ::EVP_aes_256_cbc(),
                                                   bytes, size, nullptr, nullptr);
  check(written == 1, "the key was not written");
  return text_of(text.get());
}

std::string marked_encrypted(std::string pem) {
  const std::size_t line = pem.find('\n') + 1;
  return pem.insert(line,
                    "Proc-Type: 4,ENCRYPTED\n"
                    "DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n");
}

}  // namespace fake
