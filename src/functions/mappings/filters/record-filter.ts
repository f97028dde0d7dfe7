import { type ChunkCursor, RecordFlag, RecordKind } from '../../../log/index.js'
import { type ChangePlaces, changeAt, type ViewType, wireSequence } from '../../../tables/index.js'
import { Members, matches } from './match.js'
import { type Node, readPattern } from './pattern.js'

/** What the events of one stream have in common. */
export interface EventFrame {
  readonly view: ViewType
  readonly region: string
  readonly arn: string
  /** The id of a change. */
  readonly eventIdOf: (sequence: number) => string
}

/** Parts of a record for which its keys or images are parsed. */
const parsedParts = new Set(['Keys', 'NewImage', 'OldImage'])

/**
 * The filters of a mapping over records as they lie in the log. What a pattern says of a record's header is looked at first,
 * and nothing of a body is parsed unless the pattern speaks of it.
 */
export class RecordFilter {
  readonly #patterns: readonly Node[]
  readonly #record: RecordView

  /** Throws PatternError. @param patterns of which one has to match; none: everything does */
  constructor(patterns: readonly string[], frame: EventFrame) {
    this.#patterns = patterns.map((text) => headersFirst(readPattern(text)))
    this.#record = new RecordView(frame)
  }

  get isOpen(): boolean {
    return this.#patterns.length === 0
  }

  /** Whether the record that the cursor is at goes to the function. */
  takes(cursor: ChunkCursor): boolean {
    if (this.#patterns.length === 0) return true
    this.#record.standAt(cursor)
    for (const pattern of this.#patterns) if (matches(pattern, this.#record)) return true
    return false
  }
}

/** What needs no body stands before what does, on each level. */
function headersFirst(node: Node): Node {
  if (node.kind === 'leaf') return node
  const fields = node.fields.map(([name, inner]): [string, Node] => [name, headersFirst(inner)])
  const cost = ([name, inner]: readonly [string, Node]): number => {
    if (parsedParts.has(name)) return 2
    return name === 'dynamodb' && inner.kind === 'object' && inner.fields.some((each) => cost(each) === 2) ? 1 : 0
  }
  return {
    kind: 'object',
    fields: fields.sort((a, b) => cost(a) - cost(b)),
    either: node.either.map((alternatives) => alternatives.map(headersFirst)),
  }
}

const userIdentity = { type: 'Service', principalId: 'dynamodb.amazonaws.com' }

/** The event of a record. */
class RecordView extends Members {
  readonly #frame: EventFrame
  readonly #change: ChangeView
  #cursor: ChunkCursor | undefined

  constructor(frame: EventFrame) {
    super()
    this.#frame = frame
    this.#change = new ChangeView(frame.view)
  }

  standAt(cursor: ChunkCursor): void {
    this.#cursor = cursor
    this.#change.standAt(cursor)
  }

  member(name: string): unknown {
    const { sequence, kind, flags } = this.#cursor as ChunkCursor
    const { eventIdOf, region, arn } = this.#frame
    switch (name) {
      case 'eventID':
        return eventIdOf(sequence)
      case 'eventName':
        if (kind === RecordKind.insert) return 'INSERT'
        return kind === RecordKind.modify ? 'MODIFY' : 'REMOVE'
      case 'eventVersion':
        return '1.1'
      case 'eventSource':
        return 'aws:dynamodb'
      case 'awsRegion':
        return region
      case 'eventSourceARN':
        return arn
      case 'userIdentity':
        return flags & RecordFlag.service ? userIdentity : undefined
      case 'dynamodb':
        return this.#change
      default:
        return undefined
    }
  }
}

/** Its `dynamodb` member. What was parsed is kept until the next record. */
class ChangeView extends Members {
  readonly #view: ViewType
  readonly #showsNew: boolean
  readonly #showsOld: boolean
  readonly #parsed = new Map<number, unknown>()
  #cursor: ChunkCursor | undefined

  constructor(view: ViewType) {
    super()
    this.#view = view
    this.#showsNew = view === 'NEW_IMAGE' || view === 'NEW_AND_OLD_IMAGES'
    this.#showsOld = view === 'OLD_IMAGE' || view === 'NEW_AND_OLD_IMAGES'
  }

  standAt(cursor: ChunkCursor): void {
    this.#cursor = cursor
    if (this.#parsed.size > 0) this.#parsed.clear()
  }

  member(name: string): unknown {
    const { chunk, bodyStart, commitTime, sequence } = this.#cursor as ChunkCursor
    switch (name) {
      case 'ApproximateCreationDateTime':
        return Math.floor(commitTime / 1000)
      case 'SequenceNumber':
        return wireSequence(sequence)
      case 'StreamViewType':
        return this.#view
      default:
        return this.#ofBody(name, changeAt(chunk, bodyStart))
    }
  }

  #ofBody(name: string, { keys, newImage, oldImage, end, ...sizes }: ChangePlaces): unknown {
    const showsNew = this.#showsNew && oldImage > newImage
    const showsOld = this.#showsOld && end > oldImage
    switch (name) {
      case 'SizeBytes':
        return sizes.keysSize + (showsNew ? sizes.newSize : 0) + (showsOld ? sizes.oldSize : 0)
      case 'Keys':
        return this.#json(keys, newImage)
      case 'NewImage':
        return showsNew ? this.#json(newImage, oldImage) : undefined
      case 'OldImage':
        return showsOld ? this.#json(oldImage, end) : undefined
      default:
        return undefined
    }
  }

  #json(from: number, to: number): unknown {
    const known = this.#parsed.get(from)
    if (known !== undefined) return known
    const value: unknown = JSON.parse((this.#cursor as ChunkCursor).chunk.toString('utf8', from, to))
    this.#parsed.set(from, value)
    return value
  }
}
