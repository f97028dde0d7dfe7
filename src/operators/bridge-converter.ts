/** A message of a bridge as its converter gets it: as it would be sent. */
export interface BridgeMessage<Value = unknown> {
  /** The key in UTF-8. */
  readonly key: string
  /** The value as the bridge's format writes it, out of its JSON; bytes where it is no JSON, null for a tombstone. */
  readonly value: Value
  /** Created, updated, deleted, or read by a snapshot. */
  readonly op: 'c' | 'u' | 'd' | 'r'
  readonly headers: Readonly<Record<string, string>>
  /** Sequence number of the record. */
  readonly sequence: number
  readonly shard: number
  /** Commit time, milliseconds since 1970. */
  readonly time: number
}

/** What is sent: text in UTF-8, bytes as they are, anything else as JSON. */
export type Converted = string | number | boolean | Uint8Array | object

/**
 * What the module of a bridge's converter exports, each of it optional. Plain functions, whose result depends on the message
 * alone: a message that is sent again must be the same.
 */
export interface BridgeConverter<Value = unknown> {
  /** The key; it says which partition. */
  readonly key?: (message: BridgeMessage<Value>) => Converted
  /** The value; null is a tombstone, undefined leaves the message out. Not called for tombstones. */
  readonly value?: (message: BridgeMessage<Value>) => Converted | null | undefined
  /** More headers; those of the bridge itself stay. */
  readonly headers?: (message: BridgeMessage<Value>) => Readonly<Record<string, string>>
}
