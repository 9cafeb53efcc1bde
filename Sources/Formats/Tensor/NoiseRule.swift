/// How noise is mixed into a tensor's numbers: w becomes (1 − share)·w + share·ε, ε normal around zero.
public struct NoiseRule: Sendable, Hashable {
    /// The part of the result that is noise, from 0 to 1.
    public let share: Float
    /// The noise's standard deviation.
    public let deviation: Float
    /// What the noise follows from, together with a number's place.
    public let seed: UInt64

    /// A rule.
    public init(share: Float, deviation: Float, seed: UInt64) {
        self.share = share
        self.deviation = deviation
        self.seed = seed
    }

    /// Mixes noise into some numbers, of which the first is at the place `start` in its tensor.
    func add(to numbers: inout MutableSpan<Float>, from start: Int) {
        let factor = share * deviation
        let first = start / 64
        let noise = CounterNoise.normals(
            seed, tile: 0, first: first, count: (start + numbers.count + 63) / 64 - first)
        for index in numbers.indices {
            numbers[index] = (1 - share) * numbers[index] + factor * noise[start - first * 64 + index]
        }
    }
}
