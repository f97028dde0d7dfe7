import { createHash } from 'node:crypto'
import { type Commit, Family, type RowEffect } from '../../commit/index.js'
import { type Clock, type Logger, MillraceError, type Timer } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import { after } from '../items/item-row.js'
import { idempotentMismatch, inProgress } from '../requests/aws-error.js'

/** How long a token stands for its transaction, from when that went through. */
export const tokenMs = 10 * 60 * 1000
/** How often tokens that are over are looked for; until then they are there, and not believed. */
const sweepMs = tokenMs
/** Rows that one commit of the sweep deletes. */
const sweepRowsMax = 1000

/** What a client sends so that its transaction is done once however often it is sent. */
export interface ClientToken {
  /** 1 to 36 characters. */
  readonly text: string
  /** SHA-256 of what the token stands for. */
  readonly digest: Buffer
}

/** Read units by table: what the answer to a repeated request says that it consumed. */
export type ReadUnits = readonly (readonly [table: string, units: number])[]

export interface TokensOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * The tokens of transactions that went through, each a row in the commit of its transaction. In memory are only those that
 * run now, which are as many as open requests: at thousands of transactions a second ten minutes of tokens are millions.
 */
export class Tokens {
  readonly #options: TokensOptions
  readonly #running = new Map<string, Buffer>()
  /** Tokens that the sweep is about to remove; one that is used again meanwhile stays. */
  readonly #leaving = new Set<string>()
  #timer: Timer | undefined
  #sweep: Promise<void> | undefined
  #isClosed = false

  constructor(options: TokensOptions) {
    this.#options = options
    this.#schedule()
  }

  /**
   * Runs a transaction unless its token says that it went through; then gives the read units of the repetition. `run` puts
   * the row that it is given the maker of into its effect set. Throws IdempotentParameterMismatchException when the token
   * stands for another request, TransactionInProgressException when the same request is running.
   */
  async once<T>(
    token: ClientToken,
    run: (rowOf: (units: ReadUnits) => RowEffect) => Promise<T>,
  ): Promise<{ readonly result: T } | { readonly repeated: ReadUnits }> {
    const { text, digest } = token
    const running = this.#running.get(text)
    if (running) {
      if (!running.equals(digest)) throw mismatch()
      throw inProgress('The transaction with the given request token is already in progress.')
    }
    this.#running.set(text, digest)
    this.#leaving.delete(text)
    try {
      const { commit } = this.#options
      const key = tokenKey(text)
      const found = (await commit.read(key)).value
      const known = found && decodeToken(found)
      if (known && known.expiresAt > commit.time.next()) {
        if (!known.digest.equals(digest)) throw mismatch()
        return { repeated: known.units }
      }
      return {
        result: await run((units) => ({ key, value: encodeToken(commit.time.next() + tokenMs, digest, units) })),
      }
    } finally {
      this.#running.delete(text)
    }
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#sweep = this.#removeExpired()
        .catch((error: unknown) => {
          if (!this.#isClosed)
            this.#options.logger.warn(
              { error: String(error) },
              'Tokens of transactions that are over could not be removed.',
            )
        })
        .then(() => {
          if (!this.#isClosed) this.#schedule()
        })
    }, sweepMs)
  }

  async #removeExpired(): Promise<void> {
    const { storage, commit } = this.#options
    const family = Buffer.from([Family.token])
    let range: { gte?: Buffer; gt?: Buffer } = { gte: family }
    while (!this.#isClosed && commit.time.mayExpire()) {
      const page = await storage.page({ ...range, lt: after(family), limit: sweepRowsMax, bytesMax: 1 << 20 })
      const now = commit.time.next()
      const over = page.keys.filter(
        (_, i) => isOver(page.values[i], now) && !this.#running.has(tokenText(page.keys[i] as Buffer)),
      )
      await this.#remove(over, now)
      const last = page.keys[page.keys.length - 1]
      if (!page.more || !last) return
      range = { gt: last }
    }
  }

  /** What was used since the page was read is durable or running, and what is used from here on leaves the set. */
  async #remove(keys: readonly Buffer[], now: number): Promise<void> {
    if (keys.length === 0) return
    for (const key of keys) this.#leaving.add(tokenText(key))
    const values = await this.#options.commit.readDurableMany(keys)
    const rows = keys
      .filter((key, i) => isOver(values[i], now) && this.#leaving.has(tokenText(key)))
      .map((key) => ({ key, value: undefined }))
    this.#leaving.clear()
    if (rows.length > 0) await this.#options.commit.submit({ rows, essential: true })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#sweep
  }
}

const mismatch = () =>
  idempotentMismatch(
    'Specified idempotent token was used with different request parameters within the idempotency window',
  )

/** The digest of a request's parts, whatever the order of their members. */
export function digestOf(parts: unknown): Buffer {
  return createHash('sha256').update(JSON.stringify(parts, sortMembers)).digest()
}

function sortMembers(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

const version = 1
const digestBytes = 32
const headerBytes = 1 + 6 + digestBytes

export const tokenKey = (text: string): Buffer => Buffer.concat([Buffer.from([Family.token]), Buffer.from(text)])
const tokenText = (key: Buffer): string => key.toString('utf8', 1)

/** Version u8, when it is over (milliseconds since 1970) u48be, SHA-256 of the request, read units by table as JSON. */
export function encodeToken(expiresAt: number, digest: Buffer, units: ReadUnits): Buffer {
  const head = Buffer.allocUnsafe(7)
  head[0] = version
  head.writeUIntBE(expiresAt, 1, 6)
  return Buffer.concat([head, digest, Buffer.from(JSON.stringify(units))])
}

export function decodeToken(value: Buffer): { expiresAt: number; digest: Buffer; units: ReadUnits } {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A token row has version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  return {
    expiresAt: value.readUIntBE(1, 6),
    digest: value.subarray(7, headerBytes),
    units: JSON.parse(value.toString('utf8', headerBytes)) as ReadUnits,
  }
}

const isOver = (value: Buffer | undefined, now: number): boolean =>
  value !== undefined && decodeToken(value).expiresAt <= now
