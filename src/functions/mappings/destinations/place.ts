/** Where documents go, as it is named: `stream:NAME`, `table:NAME`, `kafka:CLUSTER/TOPIC`, `file:PATH`, `http://...`. */
export type DestinationPlace =
  | { readonly kind: 'stream'; readonly name: string }
  | { readonly kind: 'table'; readonly name: string }
  /** Without a cluster: `kafka.brokers` of the configuration. */
  | { readonly kind: 'kafka'; readonly cluster: string | undefined; readonly topic: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'http'; readonly url: string }

/** undefined: the text names no place that there is. */
export function placeOf(text: string): DestinationPlace | undefined {
  const found = /^(stream|table|kafka|file|https?):(.+)$/s.exec(text)
  if (!found) return undefined
  const rest = found[2] as string
  switch (found[1]) {
    case 'stream':
      return { kind: 'stream', name: rest }
    case 'table':
      return { kind: 'table', name: rest }
    case 'file':
      return { kind: 'file', path: rest }
    case 'kafka':
      return kafkaPlace(rest)
    default:
      return URL.canParse(text) ? { kind: 'http', url: text } : undefined
  }
}

/** No topic has a slash in its name. AWS writes `kafka://TOPIC`. */
function kafkaPlace(rest: string): DestinationPlace | undefined {
  const found = /^(?:\/\/|([^/]+)\/)?([a-zA-Z0-9._-]{1,249})$/.exec(rest)
  return found ? { kind: 'kafka', cluster: found[1], topic: found[2] as string } : undefined
}
