// Shows openapi.json with Swagger UI's own files beside this one; asks nobody else for anything.

// From top to bottom every operation finds what it needs: a label set is stored first and deleted last.
function turn(operation) {
  const method = operation.get("method");
  if (method === "put") return 0;
  return method === "delete" ? 100 - operation.get("path").length / 100 : 1;
}

SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#docs",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  persistAuthorization: false,
  operationsSorter: (one, other) => turn(one) - turn(other),
});
