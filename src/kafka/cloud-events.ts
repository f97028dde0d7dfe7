import type { Origin } from './encoder.js'

/** `source` of the events of a table or stream: a URI reference. */
export function eventSource(origin: Origin, isOfTable: boolean, sourceName: string): string {
  const place = isOfTable ? 'tables' : 'streams'
  return `/millrace/${encodeURIComponent(origin.region)}/${place}/${encodeURIComponent(sourceName)}`
}

/** What an event says of itself. */
export interface EventHead {
  readonly id: string
  readonly source: string
  readonly type: string
  /** Milliseconds since 1970. */
  readonly time: number
  readonly sequence: number
  readonly subject: string | undefined
  readonly schema: string | undefined
  readonly isJson: boolean
}

/** The attributes of an event as headers: the binary mode of the Kafka protocol binding of CloudEvents 1.0. */
export function eventHeaders(head: EventHead): Record<string, string> {
  const { id, source, type, time, sequence, subject, schema, isJson } = head
  return {
    ce_specversion: '1.0',
    ce_id: id,
    ce_source: source,
    ce_type: type,
    ce_time: new Date(time).toISOString(),
    ce_sequence: String(sequence).padStart(16, '0'),
    ...(subject === undefined ? {} : { ce_subject: subject }),
    ...(schema === undefined ? {} : { ce_dataschema: schema }),
    'content-type': isJson ? 'application/json' : 'application/octet-stream',
  }
}
