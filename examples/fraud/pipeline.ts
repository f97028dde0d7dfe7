import { pattern, pipeline, stream } from 'millrace'

export interface Charge {
  readonly card: string
  readonly cents: number
  readonly merchant: string
  readonly country: string
  readonly at: number
}

/** Somebody tries whether a stolen card works, with next to nothing, and then buys something. */
const testing = pattern<Charge>()
  .begin('probes', ({ cents }) => cents < 200)
  .times(2)
  .followedBy('large', ({ cents }) => cents >= 50_000)
  .within('10m')

export default pipeline('cardFraud')
  .from(stream<Charge>('charges'))
  .eventTime(({ value }) => value.at, { outOfOrder: '30s' })
  .map(({ value }) => value)
  .keyBy(({ card }) => card)
  .pattern('cardTesting', testing, { skip: 'pastLast' })
  .to(
    stream('alerts', ({ probes, large: [large] }, card) => ({
      key: card,
      value: {
        card,
        probes: probes.map(({ merchant }) => merchant),
        cents: large?.cents,
        merchant: large?.merchant,
        at: large?.at,
        seconds: ((large?.at ?? 0) - Math.min(...probes.map(({ at }) => at))) / 1000,
      },
    })),
  )
