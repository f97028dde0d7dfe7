/** `dir/index.api.handler` as the module `dir/index` and the names `api`, `handler` in it; without a dot there is no module. */
export function partsOf(handler: string): { readonly module: string; readonly path: readonly string[] } {
  const slash = handler.lastIndexOf('/') + 1
  const dot = handler.indexOf('.', slash)
  if (dot < 0) return { module: '', path: [handler] }
  return { module: handler.slice(0, dot), path: handler.slice(dot + 1).split('.') }
}
