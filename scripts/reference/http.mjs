import { routes } from '../../dist/server/index.js'
import { code, page, table } from './markdown.mjs'

function part({ method, path, summary, query, body, answer, errors }) {
  const lines = [`### ${code(`${method} /v1/${path}`)}`, summary]
  if (query)
    lines.push(
      table(
        ['query', 'what it is'],
        Object.entries(query).map(([name, text]) => [code(name), text]),
      ),
    )
  const rows = []
  if (body) rows.push(`- body: ${body}`)
  rows.push(`- answer: ${/^\d{3} /.test(answer) ? answer : `200 ${answer}`}`)
  if (errors) rows.push(`- errors: ${errors.map(code).join(', ')}`)
  lines.push(rows.join('\n'))
  return lines.join('\n\n')
}

export function httpPage() {
  return page(
    'HTTP',
    `One daemon, one port (8000 on loopback unless it is configured otherwise).`,
    table(
      ['path', 'what'],
      [
        ['`POST /`', 'the AWS JSON protocol, chosen by the header `X-Amz-Target`'],
        ['`GET /`', '`healthy: HOST`, as AWS answers'],
        ['`/v1/...`', 'the native API'],
        ['`GET /console`', 'the web console: the pages of a browser'],
        ['`GET /metrics`', 'for Prometheus: [metrics](metrics.md)'],
        ['`GET /healthz`', '200 while the process answers'],
        [
          '`GET /readyz`',
          '200 `{ready: true, state}`, or 503 `{ready: false, state, reason}` while the store is closed',
        ],
      ],
    ),
    `## The AWS path

${code('DynamoDB_20120810.*')} and ${code('DynamoDBStreams_20120810.*')} over ${code('application/x-amz-json-1.0')}: SDKs and the AWS CLI work with an endpoint
URL and nothing else. Signatures (version 4, in the header or presigned) are verified when ${code('auth')} is configured; otherwise any is taken,
and none too. Each answer has ${code('x-amzn-RequestId')} and ${code('x-amz-crc32')}, the checksum of the bytes as they are sent. Bodies may be packed
with gzip, and so are answers of 1 KiB and more for who accepts it. A body above ${code('http.bodyBytesMax')}, unpacked, is answered with 413 and no body. Another method or content type gets 404
with an XML body, as on AWS. Pages of the origins in ${code('cors.origins')} may use this path, and only this one. How the daemon's own
errors look here is written in [errors](errors.md#on-the-aws-path).`,
    `## The native API

JSON in and out; an unknown member of a body is an error. Times are milliseconds since 1970. Errors have the shape and codes
of [errors](errors.md); any request may be answered with ${['BAD_REQUEST', 'UNAUTHENTICATED', 'FORBIDDEN', 'TOO_LARGE', 'TOO_BUSY', 'NOT_READY'].map(code).join(', ')}.

With ${code('auth')} configured, these paths, ${code('/metrics')} and ${code('/console')} want its token: ${code('Authorization: Bearer TOKEN')}, or the token as the password of
any user. Without it: 401, ${code('UNAUTHENTICATED')}.

A web page must not be able to deploy code. So every request that is no GET needs the header ${code('X-Millrace: 1')} (any value), which a
page of another origin cannot send; the ${code('Host')} must be a loopback name, ${code('listen.host')} or one of ${code('listen.hosts')} (with ${code('auth')} or ${code('listen.insecure')} any
IP address too); and an ${code('Origin')} must be the same host. Everything else is ${code('FORBIDDEN')}. Names in paths are percent-encoded: the
change log of the table ${code('orders')} is ${code('table:orders')}, or ${code('table%3Aorders')}.`,
    ...routes.map(part),
  )
}
