import { expect, it } from 'vitest'
import { type InwardWorld, isLong } from './inward-world.js'

/** A Kafka topic as the source of a pipeline: results are exactly once, over kills of the daemon. */
export function kafkaSource(world: InwardWorld): void {
  let sent = 0
  const send = (count: number) =>
    world.producer.send({
      topic: 'sold',
      messages: Array.from({ length: count }, () => {
        const n = sent++
        return { key: `key-${n % 10}`, value: JSON.stringify({ n, of: n % 5 }), partition: n % 3 }
      }),
    })
  const sums = async (TableName: string) => {
    const { Items } = await world.daemon.aws<{ Items: { of: { N: string }; sum: { N: string } }[] }>('Scan', {
      TableName,
    })
    return Object.fromEntries(Items.map(({ of, sum }) => [of.N, Number(sum.N)]))
  }
  const expected = () => {
    const all: Record<string, number> = {}
    for (let n = 0; n < sent; n++) all[n % 5] = (all[n % 5] ?? 0) + n
    return all
  }
  const summing = (name: string, into: string, more = '') => `
    export default pipeline('${name}').from(kafka<{ n: number; of: number }>('sold'))${more}
      .keyBy((message) => message.value.of).sum('sum', (message) => message.value.n)
      .to(table('${into}', (sum, of) => ({ of, sum })))`

  it('gives each message once, over kills and a redeploy', async () => {
    await world.newTopic('sold', 3)
    await world.newTable('sums', { of: 'N' })
    await send(2_500)
    await world.daemon.v1('POST', 'pipelines', { bundle: await world.bundle(summing('sums', 'sums')) })
    await expect.poll(() => sums('sums')).toEqual(expected())
    for (const point of isLong ? ['feed:committed:1', 'pipeline:committed:2'] : ['feed:committed:1'])
      await world.killAt(point, () => send(1_500))
    await send(100)
    await expect.poll(() => sums('sums')).toEqual(expected())
    await world.daemon.v1('POST', 'pipelines', {
      bundle: await world.bundle(summing('sums', 'sums', '.filter(() => true)')),
    })
    await send(100)
    await expect.poll(() => sums('sums')).toEqual(expected())
  })

  it('is read to its end by a bounded run', async () => {
    await world.newTable('once', { of: 'N' })
    await world.daemon.v1('POST', 'pipeline-runs', { bundle: await world.bundle(summing('once', 'once')) })
    await expect
      .poll(async () => (await world.daemon.v1<{ state: string }>('GET', 'pipelines/once.run')).state)
      .toBe('finished')
    expect(await sums('once')).toEqual(expected())
  })

  it('says what is wrong with a topic', async () => {
    const broken = `export default pipeline('broken').from(kafka('not-there')).to(stream('s', ({ key, value }) => ({ key, value })))`
    await world.daemon.v1('POST', 'streams', { name: 's' })
    await world.daemon.v1('POST', 'pipelines', { bundle: await world.bundle(broken) })
    interface View {
      readonly state: string
      readonly failure?: { readonly error: { readonly message: string } }
    }
    await expect.poll(async () => (await world.daemon.v1<View>('GET', 'pipelines/broken')).state).toBe('failed')
    expect(JSON.stringify(await world.daemon.v1<View>('GET', 'pipelines/broken'))).toContain(
      'There is no topic not-there.',
    )
    await expect(
      world.daemon.v1('POST', 'pipelines', {
        bundle: await world.bundle(`export default pipeline('x').from(kafka('a b'))`),
      }),
    ).rejects.toThrow(/has no topic/)
  })
}
