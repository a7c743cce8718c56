import type { OpenApiDocument } from "../../src/docs/document.ts";

const id = {
  name: "id",
  in: "path",
  required: true,
  schema: { type: "string", format: "uuid" },
  description: "The job.",
};

const notFound = {
  description: "No such job.",
  content: {
    "application/json": {
      schema: { $ref: "#/components/schemas/HTTPError" },
      example: { detail: "Not Found" },
    },
  },
};

/** An OpenAPI document with each kind of parameter, and a body with each kind of member. */
export const jobs: OpenApiDocument = {
  openapi: "3.1.0",
  info: { title: "Jobs", version: "1.0.0", description: "Runs jobs." },
  paths: {
    "/queues/{queue}/jobs/{id}": {
      put: {
        summary: "Create a job",
        description: "Creates the job, or replaces it.",
        security: [{ APIKeyHeader: [] }],
        parameters: [
          {
            name: "queue",
            in: "path",
            required: true,
            schema: { type: "string", minLength: 1, maxLength: 20, pattern: "^[a-z]+$" },
            description: "The queue.",
            example: "mail",
          },
          { $ref: "#/components/parameters/id" },
          {
            name: "priority",
            in: "query",
            schema: { type: "integer", minimum: 0, maximum: 9, default: 5 },
            description: "High goes first.",
          },
          {
            name: "ratio",
            in: "query",
            schema: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1, multipleOf: 0.5 },
            description: "How much of it.",
          },
          {
            name: "mode",
            in: "query",
            schema: { enum: ["fast", "safe"], default: "safe" },
            description: "How to run it.",
          },
          {
            name: "level",
            in: "query",
            required: true,
            schema: { type: "integer", enum: [1, 2, 3] },
            description: "How far to go.",
          },
          {
            name: "dry",
            in: "query",
            schema: { type: "boolean", default: false },
            description: "Whether to only check it.",
          },
          {
            name: "wait",
            in: "query",
            schema: { type: "boolean", default: true },
            description: "Whether to wait for the result.",
          },
          {
            name: "force",
            in: "query",
            required: true,
            schema: { type: "boolean" },
            description: "Whether to replace a job that runs.",
          },
          {
            name: "notify",
            in: "query",
            schema: { type: "array", items: { type: "string" }, maxItems: 10 },
            description: "Addresses to write to.",
          },
          {
            name: "flag",
            in: "query",
            schema: { type: "array", items: { enum: ["a", "b", "c"] } },
            description: "Further options.",
          },
          {
            name: "note",
            in: "query",
            schema: { anyOf: [{ type: "string", maxLength: 50 }, { type: "null" }] },
            description: "A text of your own.",
          },
        ],
        requestBody: {
          required: true,
          content: { "application/json": { schema: { $ref: "#/components/schemas/NewJob" } } },
        },
        responses: {
          201: { description: "The job was created." },
          401: { $ref: "#/components/responses/Unauthorized" },
          404: notFound,
          409: { description: "The queue is closed." },
          503: { $ref: "#/components/responses/ServiceUnavailable" },
        },
      },
      delete: {
        summary: "Delete a job",
        description: "Ends the job if it runs.",
        security: [{ APIKeyHeader: [] }],
        parameters: [
          { name: "queue", in: "path", required: true, schema: { type: "string" } },
          { $ref: "#/components/parameters/id" },
          { name: "X-Reason", in: "header", schema: { type: "string" }, description: "Why." },
        ],
        responses: {
          204: { description: "The job is gone." },
          404: notFound,
          503: { $ref: "#/components/responses/ServiceUnavailable" },
        },
      },
    },
  },
  components: {
    parameters: { id },
    responses: {
      Unauthorized: { description: "The key is missing or unknown." },
      ServiceUnavailable: { description: "Too many jobs are running." },
    },
    schemas: {
      HTTPError: {
        type: "object",
        required: ["detail"],
        properties: { detail: { type: "string", description: "What went wrong." } },
        description: "Why there is no result.",
      },
      NewJob: {
        type: "object",
        description: "What to run.",
        required: ["name", "callback", "options"],
        properties: {
          name: { type: "string", minLength: 6, maxLength: 100, description: "Shown in lists." },
          priority: { type: "integer", minimum: 0, maximum: 9, default: 5 },
          tags: { type: "array", items: { type: "string" }, maxItems: 10, default: [] },
          callback: { anyOf: [{ type: "string", format: "uri" }, { type: "null" }] },
          mode: { enum: ["fast", "safe"] },
          due: { type: "string", format: "date-time" },
          options: {
            type: "object",
            required: ["dry_run"],
            additionalProperties: false,
            properties: {
              dry_run: { type: "boolean", description: "Whether to only check it." },
              timeout_s: { type: "number", exclusiveMinimum: 0 },
            },
          },
          parent: { $ref: "#/components/schemas/NewJob" },
        },
      },
    },
    securitySchemes: {
      APIKeyHeader: {
        type: "apiKey",
        in: "header",
        name: "X-API-Key",
        description: "A key given out by whoever runs the service.",
      },
    },
  },
};
