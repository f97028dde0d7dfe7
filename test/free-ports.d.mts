/** Ports of loopback that are free now and that nothing but another caller of this will take before they are listened at. */
export function freePorts(count: number): Promise<number[]>
