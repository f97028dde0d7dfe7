import type { CommitPath } from '../../commit/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import { codeKey, codePartBytes, codePartsOf, codeRows, hashOfCodeKey } from '../rows.js'

/** The code of functions in the store, by its hash. */
export class CodeStore {
  readonly #commit: CommitPath

  constructor(commit: CommitPath) {
    this.#commit = commit
  }

  /** In a commit for each part: nobody knows the hash before the last has returned. */
  async put(hash: string, archive: Buffer): Promise<void> {
    for (let part = 0; part < codePartsOf(archive.length); part++) {
      const value = archive.subarray(part * codePartBytes, (part + 1) * codePartBytes)
      await this.#commit.submit({ rows: [{ key: codeKey(hash, part), value }] })
    }
  }

  /** Throws STORE_CORRUPT. */
  async get(hash: string, bytes: number): Promise<Buffer> {
    const keys = Array.from({ length: codePartsOf(bytes) }, (_, part) => codeKey(hash, part))
    const parts = await this.#commit.readDurableMany(keys)
    const whole = Buffer.concat(parts.map((part) => part ?? Buffer.alloc(0)))
    if (whole.length !== bytes)
      throw new MillraceError('STORE_CORRUPT', `The code ${hash.slice(0, 12)} of a function is not whole in the store.`)
    return whole
  }

  async drop(hash: string, bytes: number): Promise<void> {
    const rows = Array.from({ length: codePartsOf(bytes) }, (_, part) => ({
      key: codeKey(hash, part),
      value: undefined,
    }))
    await this.#commit.submit({ rows, essential: true })
  }

  /** Removes what no function has. */
  async keepOnly(storage: Storage, hashes: ReadonlySet<string>): Promise<void> {
    for await (const { keys } of storage.scan({ ...codeRows, bytesMax: 1 << 20 })) {
      const gone = keys.filter((key) => !hashes.has(hashOfCodeKey(key)))
      if (gone.length > 0)
        await this.#commit.submit({ rows: gone.map((key) => ({ key, value: undefined })), essential: true })
    }
  }
}
