import type { NodeId } from '../operators/plan/index.js'
import {
  type CellKey,
  type CellName,
  groupsOfTask,
  lowestWatermarks,
  type NodeWatermark,
  type ParkedChange,
  type ParkedQueue,
  type ParkedRow,
  type SinkBatch,
  type StageBarrier,
  type StageId,
  type StateKey,
  type StoredCell,
  type StoredTimer,
  type TaskCounters,
  type TimerPage,
  type TimerRequest,
} from '../operators/task/index.js'
import { compareHash, type Hash64 } from '../runtime/index.js'
import { entriesOf } from './entries.js'

/** How far a shard has been read. */
export interface MemoryPosition {
  readonly next: number
  /** Sealed, and read to its end. */
  readonly isEnded: boolean
}

/** What a task begins with. */
export interface MemoryMarks {
  readonly watermarks: readonly NodeWatermark[]
  readonly now: number
}

/** Entries of one sink, as its task made them. */
export interface MemoryOutput {
  readonly node: NodeId
  readonly entries: readonly string[]
}

/** Part of a barrier: what one task gave, and where it stands. */
export interface MemoryPart {
  readonly stage: StageId
  /** The shard that a source task reads. */
  readonly shard: number | undefined
  readonly position: MemoryPosition | undefined
  readonly result: StageBarrier
  /** What operators counted in the epoch. */
  readonly events: TaskCounters['events']
}

/** A row that waits. */
export interface MemoryParked extends Omit<ParkedChange, 'row'> {
  readonly stage: StageId
  readonly row: ParkedRow
}

/** The hashes that a task owns. */
export interface HashRange {
  readonly low: Hash64
  readonly high: Hash64
}

export function rangeOfTask(task: number, tasks: number): HashRange {
  const { first, last } = groupsOfTask(task, tasks)
  return { low: { hi: first * 0x100_0000, lo: 0 }, high: { hi: last * 0x100_0000 + 0xff_ffff, lo: 0xffff_ffff } }
}

/** What has been committed: all that a pipeline finds again after a crash. */
export class MemoryStore {
  readonly cells = new Map<string, { readonly key: CellKey; readonly cell: StoredCell }>()
  readonly timers = new Map<string, StoredTimer>()
  readonly positions = new Map<number, MemoryPosition>()
  /** Event time of each shard, and of the tasks of each keyed stage. */
  readonly shardMarks = new Map<number, MemoryMarks>()
  readonly stageMarks = new Map<StageId, MemoryMarks>()
  readonly outputs: MemoryOutput[] = []
  /** What operators counted, by node and event. */
  readonly counts = new Map<NodeId, Map<string, number>>()
  /** What waits, by stage, place, key and number. */
  readonly parked = new Map<string, MemoryParked>()
  commits = 0
  /** Takes what a `through` appends to its stream. */
  onOutput: (node: NodeId, batch: SinkBatch) => void = () => {}

  commit(parts: readonly MemoryPart[]): void {
    this.commits++
    const ofStages = new Map<StageId, NodeWatermark[][]>()
    for (const { stage, shard, position, result, events } of parts) {
      for (const { node, event, by } of events) this.#count(node, event, by)
      for (const change of result.cells) {
        const { cell, ...key } = change
        if (cell) this.cells.set(cellText(key), { key, cell: { ...cell, value: Buffer.from(cell.value) } })
        else this.cells.delete(cellText(key))
      }
      for (const { isSet, ...timer } of result.timers) {
        if (isSet) this.timers.set(timerText(timer), timer)
        else this.timers.delete(timerText(timer))
      }
      for (const { sink, entries, batch } of result.outputs) {
        this.outputs.push({ node: sink, entries: batch ? entriesOf(batch) : entries })
        if (batch) this.onOutput(sink, batch)
      }
      for (const change of result.parked) this.#park(stage, change)
      const marks = { watermarks: result.watermarks, now: result.now }
      if (shard === undefined) {
        const ofStage = [...(ofStages.get(stage) ?? []), [...result.watermarks]]
        ofStages.set(stage, ofStage)
        this.stageMarks.set(stage, { ...marks, watermarks: lowestWatermarks(ofStage) })
      } else this.shardMarks.set(shard, marks)
      if (shard !== undefined && position) this.positions.set(shard, position)
    }
  }

  #park(stage: StageId, { row, ...of }: ParkedChange): void {
    const text = `${stage} ${of.place} ${of.hashHi} ${of.hashLo} ${Buffer.from(of.key).toString('latin1')} ${of.number}`
    if (row) this.parked.set(text, { ...of, stage, row })
    else this.parked.delete(text)
  }

  /** The queues of a task, those of deeper steps first: what waits there came before what waits at an earlier step. */
  queuesOf(stage: StageId, { low, high }: HashRange, nodes: number): ParkedQueue[] {
    const queues = new Map<string, ParkedQueue & { readonly rows: { number: number; row: ParkedRow }[] }>()
    for (const { number, row, ...of } of this.parked.values()) {
      const hash = { hi: of.hashHi, lo: of.hashLo }
      if (of.stage !== stage || compareHash(low, hash) > 0 || compareHash(hash, high) > 0) continue
      const name = `${of.place} ${Buffer.from(of.key).toString('latin1')}`
      const rows = [...(queues.get(name)?.rows ?? []), { number, row }].sort((a, b) => a.number - b.number)
      queues.set(name, { ...of, rows, next: (rows.at(-1)?.number ?? 0) + 1 })
    }
    const depth = ({ place }: ParkedQueue): number => (place >= nodes ? -1 : place)
    return [...queues.values()].sort((a, b) => depth(b) - depth(a))
  }

  #count(node: NodeId, event: string, by: number): void {
    const counts = this.counts.get(node) ?? new Map<string, number>()
    counts.set(event, (counts.get(event) ?? 0) + by)
    this.counts.set(node, counts)
  }

  /** The cells of a key that a node keeps. */
  cellsOf(node: NodeId, key: Buffer): { readonly name: CellName | undefined; readonly cell: StoredCell }[] {
    return [...this.cells.values()]
      .filter((each) => each.key.node === node && Buffer.compare(each.key.key, key) === 0)
      .map((each) => ({ name: each.key.name, cell: each.cell }))
  }

  fetchCells(cells: readonly CellKey[]): (StoredCell | undefined)[] {
    return cells.map((key) => this.cells.get(cellText(key))?.cell)
  }

  fetchTimers({ node, domain, from, after, limit }: TimerRequest, { low, high }: HashRange): TimerPage {
    const found = [...this.timers.values()]
      .filter((timer) => timer.node === node && timer.domain === domain && timer.time >= from)
      .filter(({ hashHi: hi, hashLo: lo }) => compareHash(low, { hi, lo }) <= 0 && compareHash({ hi, lo }, high) <= 0)
      .map((timer) => ({ timer, text: timerText(timer) }))
      .sort((a, b) => a.timer.time - b.timer.time || (a.text < b.text ? -1 : 1))
    const begin = after === undefined ? 0 : found.findIndex(({ timer, text }) => isAfter(timer, text, after as Mark))
    const page = begin < 0 ? [] : found.slice(begin, begin + limit)
    const last = page[page.length - 1]
    const next = last && begin + limit < found.length ? { time: last.timer.time, text: last.text } : undefined
    return { timers: page.map(({ timer }) => timer), next }
  }
}

interface Mark {
  readonly time: number
  readonly text: string
}

const isAfter = ({ time }: StoredTimer, text: string, mark: Mark): boolean =>
  time > mark.time || (time === mark.time && text > mark.text)

const keyText = ({ node, key, hashHi, hashLo }: StateKey): string =>
  `${node} ${hashHi} ${hashLo} ${Buffer.from(key).toString('latin1')}`
const nameText = (name: CellName | undefined): string => `${typeof name} ${name}`
const cellText = (key: CellKey): string => `${keyText(key)} ${nameText(key.name)}`
const timerText = (timer: StoredTimer): string =>
  `${keyText(timer)} ${timer.domain} ${timer.time} ${nameText(timer.tag)}`
