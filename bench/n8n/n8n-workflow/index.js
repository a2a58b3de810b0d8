"use strict";

class NodeOperationError extends Error {
  constructor(node, error, options = {}) {
    super(typeof error === "string" ? error : error.message);
    this.description = options.description;
  }
}

class NodeApiError extends NodeOperationError {}

module.exports = { NodeApiError, NodeOperationError };
