import type { IncomingMessage, ServerResponse } from 'node:http'

/** Lets the page of another origin read the answer, when it is one that may. */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, allowed: readonly string[]): void {
  const { origin } = request.headers
  if (origin === undefined) return
  if (allowed.includes('*')) response.setHeader('access-control-allow-origin', '*')
  else if (allowed.includes(origin)) {
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('vary', 'origin')
  } else return
  response.setHeader('access-control-expose-headers', 'x-amzn-requestid,x-amz-crc32,x-amzn-errortype,x-amz-id-2,date')
}

/** What a browser asks before it sends; without the origin's own header (`allowOrigin`) it is a refusal. */
export function preflight(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('access-control-max-age', '172800')
  response.setHeader(
    'access-control-allow-methods',
    request.headers['access-control-request-method'] ?? 'POST, GET, OPTIONS',
  )
  const wanted = request.headers['access-control-request-headers']
  if (wanted !== undefined) response.setHeader('access-control-allow-headers', wanted)
  response.writeHead(200, { 'content-length': 0 })
  response.end()
}
