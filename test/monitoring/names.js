// SPDX-License-Identifier: Apache-2.0
//
// node names.js <EXPRESSIONS: for each expression of the JSON list on standard input, the metrics that it reads, with the
// labels of their matchers and those that it groups by: [{metrics: {NAME: [LABEL, ...]}, groups: [LABEL, ...], error: ""}].
// Read by Prometheus' own grammar for its editor.
"use strict";
const { parser } = require("@prometheus-io/lezer-promql");

function read(expression) {
  const found = { metrics: {}, groups: [], error: "" };
  let labels = [];  // of the selector being read
  let inGroup = false;
  parser.parse(expression).iterate({
    enter(node) {
      const text = expression.slice(node.from, node.to);
      if (node.type.isError) found.error = found.error || `cannot be read at "${expression.slice(node.from, node.from + 30)}"`;
      if (node.name === "VectorSelector") labels = [];
      if (node.name === "Identifier") found.metrics[text] = labels;
      if (node.name === "GroupingLabels") inGroup = true;
      if (node.name === "LabelName" && inGroup) found.groups.push(text);
      if (node.name === "LabelName" && !inGroup) labels.push(text);
    },
    leave(node) {
      if (node.name === "GroupingLabels") inGroup = false;
    },
  });
  if (Object.keys(found.metrics).length === 0 && !found.error) found.error = "names no metric";
  return found;
}

const expressions = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(expressions.map(read)));
