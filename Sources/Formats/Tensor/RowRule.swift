/// How rows are made of another tensor's rows; a manifest keeps it, so that they can be made again.
public enum RowRule: Sendable, Hashable {
    /// These rows, as they are.
    case gathered([Int32])
    /// Each a weighted sum of some rows, in double precision.
    case combined(RowCombinations)
    /// So many times the mean of a range of rows.
    case mean(of: Range<Int>, count: Int)
    /// So many rows drawn from a normal distribution with the mean of a range of rows and a multiple of their covariance.
    case sampled(RowSample)

    /// How many rows it makes.
    public var count: Int {
        switch self {
        case .gathered(let rows): rows.count
        case .combined(let combinations): combinations.count
        case .mean(_, let count): count
        case .sampled(let sample): sample.count
        }
    }

    /// What it is called, in the manifest and for people.
    public var name: String {
        switch self {
        case .gathered: "gathered"
        case .combined: "combined"
        case .mean: "mean"
        case .sampled: "sampled"
        }
    }

    /// Whether all rows that it takes are below `height`, and there are some where it needs them.
    func fits(height: Int) -> Bool {
        switch self {
        case .gathered(let rows): rows.allSatisfy { 0 <= $0 && $0 < height }
        case .combined(let combinations): combinations.rows.allSatisfy { 0 <= $0 && $0 < height }
        case .mean(let range, let count):
            !range.isEmpty && range.lowerBound >= 0 && range.upperBound <= height && count >= 0
        case .sampled(let sample):
            !sample.range.isEmpty && sample.range.lowerBound >= 0 && sample.range.upperBound <= height
                && sample.count >= 0
        }
    }
}

/// Weighted sums of rows, one behind the other.
public struct RowCombinations: Sendable, Hashable {
    /// The rows of all sums.
    public private(set) var rows: [Int32] = []
    /// The weight of each.
    public private(set) var weights: [Float] = []
    /// Where each sum's rows end.
    public private(set) var ends: [Int] = []

    /// No sums.
    public init() {}

    /// How many sums there are.
    public var count: Int { ends.count }

    /// The places of a sum's rows in ``rows`` and ``weights``.
    public func places(of sum: Int) -> Range<Int> { (sum == 0 ? 0 : ends[sum - 1])..<ends[sum] }

    /// Appends a sum; without rows it is zero.
    public mutating func append(_ rows: [Int32], weights: [Float]) {
        precondition(rows.count == weights.count, "each row has a weight")
        self.rows += rows
        self.weights += weights
        ends.append(self.rows.count)
    }

    /// Appends the mean of some rows.
    public mutating func append(meanOf rows: [Int32]) {
        append(rows, weights: Array(repeating: 1 / Float(max(rows.count, 1)), count: rows.count))
    }
}

/// A normal distribution that rows are drawn from.
public struct RowSample: Sendable, Hashable {
    /// The rows whose mean and covariance it has.
    public let range: Range<Int>
    /// How many rows are drawn.
    public let count: Int
    /// What the covariance is multiplied by.
    public let variance: Double
    /// What the random numbers follow from.
    public let seed: UInt64

    /// A distribution.
    public init(range: Range<Int>, count: Int, variance: Double, seed: UInt64) {
        self.range = range
        self.count = count
        self.variance = variance
        self.seed = seed
    }

    /// What the products of rows are worth in bytes that could be copied meanwhile.
    ///
    /// Two cores copy 1 GB in a second, and carry out some 64 to 150 billion multiplications.
    static func work(rows: Int, sources: Int, width: Int) -> Int { rows * sources * width / 64 }
}
