import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The operations of shim.c. */
const Op = { create: 1, write: 2, truncate: 3, sync: 4, rename: 5, unlink: 6, link: 7, mkdir: 8, rmdir: 9 } as const

type Change = {
  readonly at: number
  readonly apply: (node: FileNode) => void
  readonly tear?: (node: FileNode, part: number) => void
}
type NameChange = { readonly at: number; readonly apply: (names: Map<string, Node>) => void }

/** A file: what a disk holds of it, and what was written since its last sync. */
interface FileNode {
  readonly kind: 'file'
  content: Buffer
  /** Whether `content` has a buffer of its own, which may be written behind its end. */
  isOwned: boolean
  readonly unsynced: Change[]
}

interface FolderNode {
  readonly kind: 'folder'
  names: Map<string, Node>
  readonly unsynced: NameChange[]
}

type Node = FileNode | FolderNode

/** What a folder holds before the process starts; all of it counts as durable. */
export interface Before {
  readonly root: FolderNode
  readonly byInode: Map<bigint, Node>
}

export function lookBefore(folder: string): Before {
  const byInode = new Map<bigint, Node>()
  const look = (path: string): Node => {
    const status = lstatSync(path, { bigint: true })
    let node: Node
    if (status.isDirectory()) {
      node = { kind: 'folder', names: new Map(), unsynced: [] }
      for (const name of readdirSync(path)) node.names.set(name, look(join(path, name)))
    } else
      node = (byInode.get(status.ino) as FileNode | undefined) ?? {
        kind: 'file',
        content: readFileSync(path),
        isOwned: false,
        unsynced: [],
      }
    byInode.set(status.ino, node)
    return node
  }
  return { root: look(folder) as FolderNode, byInode }
}

/**
 * Rebuilds what a disk would hold after the power failed at the end of a journal: synced content and synced names, and
 * of what came after, per file and per folder, a part that `random` chooses (0 up to all of it, the last write torn).
 */
export function durableImage(before: Before, journal: string, target: string, random: () => number): void {
  const { root, byInode } = before
  replay(readFileSync(journal), byInode)
  const seen = new Set<Node>()
  const settle = (node: Node): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'file') settleFile(node, random)
    else {
      const kept = Math.floor(random() * (node.unsynced.length + 1))
      for (const change of node.unsynced.slice(0, kept)) change.apply(node.names)
      for (const child of node.names.values()) settle(child)
    }
  }
  settle(root)
  write(root, target)
}

function settleFile(file: FileNode, random: () => number): void {
  const kept = Math.floor(random() * (file.unsynced.length + 1))
  for (const change of file.unsynced.slice(0, kept)) change.apply(file)
  file.unsynced[kept]?.tear?.(file, random())
}

function write(node: Node, path: string): void {
  if (node.kind === 'file') writeFileSync(path, node.content)
  else {
    mkdirSync(path, { recursive: true })
    for (const [name, child] of node.names) write(child, join(path, name))
  }
}

function replay(journal: Buffer, byInode: Map<bigint, Node>): void {
  /** Names as the process sees them, to find the node that a rename moves. */
  const cached = new Map<FolderNode, Map<string, Node>>()
  const namesOf = (folder: FolderNode): Map<string, Node> => {
    let names = cached.get(folder)
    if (!names) {
      names = new Map(folder.names)
      cached.set(folder, names)
    }
    return names
  }
  let at = 0
  for (let number = 0; at + 29 <= journal.length; number++) {
    const op = journal[at]
    const [inode, a, b] = [
      journal.readBigUInt64LE(at + 1),
      journal.readBigUInt64LE(at + 9),
      journal.readBigUInt64LE(at + 17),
    ]
    const length = journal.readUInt32LE(at + 25)
    const data = journal.subarray(at + 29, at + 29 + length)
    at += 29 + length
    if (at > journal.length) return
    const node = byInode.get(inode)
    if (op === Op.write) {
      if (node?.kind === 'file') node.unsynced.push(writeChange(number, Number(a), data))
    } else if (op === Op.truncate) {
      if (node?.kind === 'file') node.unsynced.push({ at: number, apply: (file) => resize(file, Number(a)) })
    } else if (op === Op.sync) {
      if (node) sync(node, Number(a))
    } else {
      const folder = node as FolderNode | undefined
      if (folder?.kind !== 'folder') throw new Error(`The journal names a folder that is not known (operation ${op}).`)
      changeNames(op as number, folder, a, b, data.toString(), number, byInode, namesOf)
    }
  }
}

function changeNames(
  op: number,
  folder: FolderNode,
  a: bigint,
  b: bigint,
  text: string,
  number: number,
  byInode: Map<bigint, Node>,
  namesOf: (folder: FolderNode) => Map<string, Node>,
): void {
  const set = (target: FolderNode, name: string, node: Node | undefined) => {
    const apply = (names: Map<string, Node>) => {
      if (node) names.set(name, node)
      else names.delete(name)
    }
    apply(namesOf(target))
    target.unsynced.push({ at: number, apply })
  }
  switch (op) {
    case Op.create:
    case Op.mkdir: {
      // An inode number comes again after its file is gone: this is another one.
      const node: Node =
        op === Op.create
          ? { kind: 'file', content: Buffer.alloc(0), isOwned: false, unsynced: [] }
          : { kind: 'folder', names: new Map(), unsynced: [] }
      byInode.set(a, node)
      return set(folder, text, node)
    }
    case Op.link:
      return set(folder, text, byInode.get(a))
    case Op.unlink:
    case Op.rmdir:
      return set(folder, text, undefined)
    case Op.rename: {
      const slash = text.indexOf('/')
      const [from, into] = [text.slice(0, slash), text.slice(slash + 1)]
      const to = byInode.get(a) as FolderNode
      const moved = byInode.get(b) as Node
      if (to !== folder) {
        set(to, into, moved)
        return set(folder, from, undefined)
      }
      // Within one folder it is there whole or not at all.
      const apply = (names: Map<string, Node>) => {
        names.set(into, moved)
        names.delete(from)
      }
      apply(namesOf(folder))
      folder.unsynced.push({ at: number, apply })
      return
    }
  }
}

function sync(node: Node, until: number): void {
  const count = node.unsynced.findIndex((change) => change.at >= until)
  const synced = node.unsynced.splice(0, count < 0 ? node.unsynced.length : count)
  if (node.kind === 'file') for (const change of synced as Change[]) change.apply(node)
  else for (const change of synced as NameChange[]) change.apply(node.names)
}

function writeChange(at: number, offset: number, data: Buffer): Change {
  const put = (file: FileNode, bytes: Buffer) => {
    if (bytes.length === 0) return
    if (file.content.length < offset + bytes.length) resize(file, offset + bytes.length)
    bytes.copy(file.content, offset)
  }
  return {
    at,
    apply: (file) => put(file, data),
    tear: (file, part) => put(file, data.subarray(0, Math.floor(part * data.length))),
  }
}

function resize(file: FileNode, length: number): void {
  if (length > file.content.length) {
    const capacity = file.content.buffer.byteLength - file.content.byteOffset
    if (file.isOwned && capacity >= length) {
      const grown = Buffer.from(file.content.buffer, file.content.byteOffset, length)
      grown.fill(0, file.content.length)
      file.content = grown
    } else {
      // Room for twice as much: a log grows by thousands of small writes.
      const whole = Buffer.alloc(Math.max(4096, length * 2))
      file.content.copy(whole)
      file.content = whole.subarray(0, length)
      file.isOwned = true
    }
  } else file.content = file.content.subarray(0, length)
}
