/// A curve as small as a word: `▇▅▄▃▂▂▁`.
public struct Sparkline: CustomStringConvertible {
    /// The most letters.
    private static let width = 24
    private static let letters = Array("▁▂▃▄▅▆▇█")
    /// Means of as many neighbours as `size` says, but for the last.
    private var means: [(sum: Double, count: Int)] = []
    private var size = 1

    /// A curve without points.
    public init() {}

    /// Adds a point; what came before is drawn closer together when there is no room.
    public mutating func add(_ value: Double) {
        if let last = means.last, last.count < size {
            means[means.count - 1] = (last.sum + value, last.count + 1)
            return
        }
        if means.count == Self.width {
            means = stride(from: 0, to: means.count, by: 2).map { index in
                let (one, other) = (means[index], means[index + 1])
                return (sum: one.sum + other.sum, count: one.count + other.count)
            }
            size *= 2
        }
        means.append((value, 1))
    }

    /// The letters, the lowest for the least point and the highest for the largest.
    public var description: String {
        let values = means.map { $0.sum / Double($0.count) }
        guard let low = values.min(), let high = values.max(), high > low else { return "" }
        let steps = Double(Self.letters.count - 1)
        return String(values.map { Self.letters[Int((steps * ($0 - low) / (high - low)).rounded())] })
    }
}
