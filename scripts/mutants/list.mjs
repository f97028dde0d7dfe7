/**
 * What is taken out of the source: the file, the text that is the guard, what stands there without it, and the test that
 * must fail then.
 */
const guardTest = (name) => ({ file: 'test/commit/guards.test.ts', title: `guards ${name}:` })
const simulation = { file: 'test/simulation/simulation.test.ts', title: 'nothing is lost, duplicated or reordered' }

/** The guards of the commit path; each has a test of its name. */
export const guards = [
  ['latch', 'src/commit/commit.ts', 'return this.#latches.take(keys.map(rowName))', 'return () => void keys'],
  ['waiting answer', 'src/commit/commit.ts', 'seen: pending.commit }', 'seen: undefined }'],
  ['ledger', 'src/commit/ledger.ts', 'if (row.commit !== before.commit + 1) {', 'if (row.commit < 0) {'],
  ['mark', 'src/commit/ledger.ts', 'if (newest < markedCommit) {', 'if (newest < 0) {'],
  ['poisoning', 'src/commit/commit.ts', '    this.#failed = error\n', ''],
  ['clock', 'src/commit/commit-time.ts', 'if (Math.abs(wall - expected) > clockJumpMs) {', 'if (wall < 0) {'],
  ['sync', 'src/commit/commit.ts', '}, this.#options.synced)', '}, false)'],
].map(([name, file, guard, without]) => ({ name, file, guard, without, by: guardTest(name) }))

/** The same by the simulation, and what only it sees. */
export const others = [
  {
    name: 'every commit is synced',
    file: 'src/commit/commit.ts',
    guard: '}, this.#options.synced)',
    without: '}, false)',
    by: simulation,
  },
  {
    name: 'nobody is answered before the write has returned',
    file: 'src/commit/commit.ts',
    guard: '    this.#inFlight = gathering\n',
    without:
      '    this.#inFlight = gathering\n    gathering.resolve({ commit: gathering.commit, time: this.time.next() })\n',
    by: simulation,
  },
  {
    name: 'a decider holds its latch from before the read',
    file: 'src/commit/commit.ts',
    guard: 'return this.#latches.take(keys.map(rowName))',
    without: 'return () => void keys',
    by: simulation,
  },
  {
    name: 'an answer waits for what it has seen',
    file: 'src/commit/commit.ts',
    guard: 'seen: pending.commit }',
    without: 'seen: undefined }',
    by: simulation,
  },
  {
    name: 'a row stays in the overlay until its newest commit has returned',
    file: 'src/commit/commit.ts',
    guard: 'if (this.#overlay.get(name)?.commit === gathering.commit) ',
    without: '',
    by: simulation,
  },
  {
    name: 'a failed write ends the store',
    file: 'src/commit/commit.ts',
    guard: '    this.#failed = error\n',
    without: '',
    by: simulation,
  },
  {
    name: 'the ledger is checked for gaps',
    file: 'src/commit/ledger.ts',
    guard: 'if (row.commit !== before.commit + 1) {',
    without: 'if (row.commit < 0) {',
    by: simulation,
  },
  {
    name: 'the ledger is checked against the mark',
    file: 'src/commit/ledger.ts',
    guard: 'if (newest < markedCommit) {',
    without: 'if (newest < 0) {',
    by: simulation,
  },
  {
    name: 'commit time does not follow a jump',
    file: 'src/commit/commit-time.ts',
    guard: 'if (Math.abs(wall - expected) > clockJumpMs) {',
    without: 'if (wall < 0) {',
    by: simulation,
  },
  {
    name: 'numbers jump where their end is not known',
    file: 'src/commit/open.ts',
    guard: 'Math.max(behindLedger, identity.sequenceFloor) + sequenceJump',
    without: 'Math.max(behindLedger, identity.sequenceFloor)',
    by: simulation,
  },
  {
    name: 'no number is given twice',
    file: 'src/log/packer.ts',
    guard: 'return { rows, count: next - context.firstSequence, chunks }',
    without: 'return { rows, count: Math.max(0, next - context.firstSequence - 1), chunks }',
    by: simulation,
  },
  {
    name: 'ids of shards are made durable at packing',
    file: 'src/log/layout-changer.ts',
    guard: 'atPack: (context) => [...change(context), this.#counters.row()] })',
    without: 'rows: [this.#counters.row()], atPack: change })',
    by: simulation,
  },
  {
    name: 'a batch that spans shards is cut',
    file: 'src/log/packer.ts',
    guard: 'header + 4)) !== target) {',
    without: 'header + 4)) === -2) {',
    by: simulation,
  },
  {
    name: 'a sealed shard is not split again',
    file: 'src/log/layout-changer.ts',
    guard: "if (!takes(parent.shard, 'split')) throw sealedAlready(id)",
    without: '',
    by: simulation,
  },
  {
    name: 'a merge seals both parents',
    file: 'src/log/layout-changer.ts',
    guard: 'const sealed = parents.map((parent) => this.#seal(state, parent, [id], context))',
    without: 'const sealed = parents.slice(1).map((parent) => this.#seal(state, parent, [id], context))',
    by: simulation,
  },
  {
    name: 'a child opens with the end of its parents',
    file: 'src/groups/group.ts',
    guard: 'for (const parent of shard.parents) if (!positions.get(parent)?.ended) return undefined',
    without: '',
    by: simulation,
  },
  {
    name: 'a merged child waits for both parents',
    file: 'src/groups/group.ts',
    guard: 'for (const parent of shard.parents) if (!positions',
    without: 'for (const parent of shard.parents.slice(1)) if (!positions',
    by: simulation,
  },
  {
    name: 'the end of a parent is never inferred from its position',
    file: 'src/groups/group.ts',
    guard: 'if (!positions.get(parent)?.ended) return undefined',
    without: 'if (!positions.has(parent)) return undefined',
    by: simulation,
  },
  {
    name: 'a lease that is not the newest changes nothing',
    file: 'src/groups/commit-positions.ts',
    guard: 'if (!now || now.lease !== lease) return fencedError(group.name, shard, lease)',
    without: 'if (!now) return fencedError(group.name, shard, lease)',
    by: {
      file: 'test/groups/leases.test.ts',
      title: 'a commit that is queued behind the change of its lease is refused when it is packed',
    },
  },
  {
    name: 'a seek fences who held the shards',
    file: 'src/groups/groups.ts',
    guard: 'rows.push(group.put({ ...position, lease }))',
    without: 'rows.push(group.put({ ...position, lease: group.packedPosition(position.shard)?.lease ?? lease }))',
    by: {
      file: 'test/groups/leases.test.ts',
      title: 'a seek takes the shards from who holds them and gives them out again',
    },
  },
  {
    name: 'positions are committed once',
    file: 'src/groups/commit-positions.ts',
    guard: 'if (moves > 0) return undefined',
    without: 'if (moves >= 0) return undefined',
    by: simulation,
  },
  {
    name: 'a batch that is sent again is not stored again',
    file: 'src/producers/producer-lifecycle.ts',
    guard: "again: { to: 'stored', reply: 'storedAnswer' },",
    without: "again: { to: 'stored', reply: 'store' },",
    by: simulation,
  },
  {
    name: "a producer's row is in the commit of its batch",
    file: 'src/producers/producers.ts',
    guard: '          placed.length === 0\n',
    without: '          placed.length >= 0\n',
    by: simulation,
  },
  {
    name: 'an older epoch of a producer is refused',
    file: 'src/producers/producer-lifecycle.ts',
    guard: 'if (row.epoch !== epoch)',
    without: 'if (row.epoch < epoch)',
    by: simulation,
  },
  {
    name: 'readers see a commit when it has returned',
    file: 'src/log/sharded-log.ts',
    guard: '    this.#packed = packed.chunks\n',
    without: '    this.#packed = packed.chunks\n    this.#show()\n',
    by: simulation,
  },
  {
    name: 'nothing is swept that can still be read',
    file: 'src/log/trimmer.ts',
    guard: 'const end = rows[done + 1]?.first ?? shard.lowWatermark',
    without: 'const end = (rows[done + 1]?.first ?? shard.lowWatermark) + 3',
    by: simulation,
  },
  {
    name: 'a trim looks again at who started since',
    file: 'src/log/trimmer.ts',
    guard: 'if (floor !== undefined && floor <= to.previous) continue',
    without: 'if (floor === undefined && floor) continue',
    by: {
      file: 'test/retention/start-race.test.ts',
      title: 'a group that seeks the oldest record beside a trim can read on',
    },
  },
  {
    name: 'a start takes the low watermark that is packed',
    file: 'src/groups/groups.ts',
    guard: 'lowWatermark: log.packedLowWatermark(shard.id) }',
    without: 'lowWatermark: shard.lowWatermark }',
    by: {
      file: 'test/retention/start-race.test.ts',
      title: 'a group that seeks the oldest record beside a trim can read on',
    },
  },
  {
    name: 'the control plane has the gate alone',
    file: 'src/tables/gate.ts',
    guard: 'if (!this.#isExclusive && this.#waiting.length === 0) {',
    without: 'if (this.#waiting.length >= 0) {',
    by: { file: 'test/tables/gate.test.ts', title: 'lets nobody in while the control plane has it alone' },
  },
  {
    name: 'the rows of a transaction are latched before it reads',
    file: 'src/tables/writer.ts',
    guard: 'releases.push(await this.#commit.latch(keys.map(({ row }) => row)))',
    without: '',
    by: {
      file: 'test/tables/transactions/serialisable.test.ts',
      title: 'of transactions that decide at once on what the other writes, the second sees the first',
    },
  },
  {
    name: 'a transaction that reads waits for what it has seen',
    file: 'src/tables/transactions/transactions.ts',
    guard: '    if (seen !== undefined) await this.#commit.returned(seen)\n',
    without: '',
    by: { file: 'test/tables/transactions/serialisable.test.ts', title: 'what a transaction rests on is durable' },
  },
  {
    name: 'a token is kept in the commit of its transaction',
    file: 'src/tables/transactions/transactions.ts',
    guard: ', ...moreRows(written)]',
    without: ']',
    by: { file: 'test/tables/transactions/tokens.test.ts', title: 'a transaction is done once for its token' },
  },
]
