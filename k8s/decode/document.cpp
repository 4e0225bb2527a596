// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/document.hpp"

#include <utility>

namespace k8s::doc {
namespace {

std::string_view wanted(FieldType type, bool element) {
  if (is_array(type) && !element) return "an array";
  switch (type) {
    case FieldType::kString:
    case FieldType::kStrings:
    case FieldType::kTime:
      return "a string";
    case FieldType::kInteger:
      return "an integer";
    case FieldType::kBoolean:
      return "a boolean";
    case FieldType::kIntOrString:
      return "an integer or a string";
    case FieldType::kObject:
    case FieldType::kObjects:
    case FieldType::kMap:
    case FieldType::kChild:
    case FieldType::kChildren:
      break;
  }
  return "an object";
}

}  // namespace

std::string misplaced(std::string_view what, FieldType type, bool element) {
  std::string reason(what);
  reason += " where ";
  reason += wanted(type, element);
  reason += " belongs";
  return reason;
}

void Path::attach(Visitor& visitor) const { visitor.path_ = this; }

void Path::cannot_read(Visitor& visitor, SchemaNode node, std::string reason) {
  // A document that is not an object has nothing that could be read.
  if (visitor.is_frame() || visitor.path_->text().empty()) {
    visitor.refuse(std::move(reason));
  } else {
    visitor.leave_out(reason);
    visitor.unreadable(node, reason);
  }
}

std::string Visitor::path_to(std::string_view below) const {
  std::string field = path_ == nullptr ? std::string() : path_->text();
  if (field.empty() && below.starts_with('.')) below.remove_prefix(1);
  return field += below;
}

void Visitor::refuse(std::string reason, std::string_view below) {
  if (refusal_.reason.empty()) refusal_ = {path_to(below), std::move(reason)};
}

void Visitor::refuse_field(std::string field, std::string reason) {
  if (refusal_.reason.empty()) refusal_ = {std::move(field), std::move(reason)};
}

void Visitor::leave_out(std::string reason, std::string_view below) {
  if (left_out_.count++ == 0) left_out_.first = {path_to(below), std::move(reason)};
}

void Visitor::leave_out_field(std::string field, std::string reason) {
  if (left_out_.count++ == 0) left_out_.first = {std::move(field), std::move(reason)};
}

void Visitor::clear_refusal() {
  refusal_ = {};
  left_out_ = {};
}

}  // namespace k8s::doc
