/**
 * The JSON of ConsumedCapacity or ItemCollectionMetrics. Their units and estimates are doubles, which AWS writes with a
 * fraction also when they are whole (`1.0`), and a client whose language tells 1 from 1.0, such as Python, shows the difference.
 * A name inside a string cannot be taken for one of these members, since its quotation marks are escaped.
 */
export const doubleJson = (value: object): Buffer =>
  Buffer.from(
    JSON.stringify(value)
      .replace(/("(?:Read|Write)?CapacityUnits":\d+)(?=[,}])/g, '$1.0')
      .replace(/("SizeEstimateRangeGB":\[\d+),(\d+)\]/g, '$1.0,$2.0]'),
  )
