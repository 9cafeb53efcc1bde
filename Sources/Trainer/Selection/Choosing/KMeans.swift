internal import Formats

/// Clusters of points, found by k-means over mini-batches, so that memory holds the centres and some points.
///
/// The first centres are drawn from a sample, each with a probability in proportion to the squared distance from those before it, the
/// best of several draws (k-means++). Then each batch moves every centre towards its points, by a share that falls with the points
/// that it has had.
///
/// Source: Sculley, "Web-Scale K-Means Clustering" (2010), algorithm 1; Arthur and Vassilvitskii, "k-means++" (2007).
struct KMeans: Sendable {
    /// The centres: (K, C).
    private(set) var centres: [Float]
    private let width: Int
    /// Half the squared length of each.
    private var halves: [Double]

    /// Points of a batch; the most points that the first centres are drawn from; and how often, at least, all are seen.
    static let (batchSize, sampleSize, passes) = (1024, 4096, 4)
    private static let leastBatches = 50

    /// How many there are.
    var count: Int { halves.count }

    /// Finds clusters.
    ///
    /// - Parameters:
    ///   - points: which are clustered; at least as many as clusters.
    ///   - count: how many clusters.
    ///   - seed: what the draws follow from.
    ///   - check: called between batches; what it throws ends the work.
    /// - Throws: ``UserFacingError`` when a point can't be read.
    init(
        of points: Embeddings, count: Int, seed: UInt64, _ check: () throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        precondition(count > 0 && count <= points.count, "every cluster can have a point")
        width = points.width
        var generator = generator(seed: seed, source: 1, stream: 0)
        centres = []
        halves = []
        try drawCentres(of: points, count, &generator, check)
        var counts = [Double](repeating: 0, count: count)
        let batches = max(Self.leastBatches, points.count * Self.passes / Self.batchSize)
        for _ in 0..<batches {
            try check()
            var batch: [Float] = []
            for _ in 0..<min(Self.batchSize, points.count) {
                batch += try points[Int(generator.next() % UInt64(points.count))]
            }
            let nearest = (0..<batch.count / width).map { self.nearest(to: batch, $0).cluster }
            for (point, cluster) in nearest.enumerated() {
                counts[cluster] += 1
                let rate = Float(1 / counts[cluster])
                for channel in 0..<width {
                    let place = cluster * width + channel
                    centres[place] += rate * (batch[point * width + channel] - centres[place])
                }
            }
            for cluster in 0..<count { measure(cluster) }
        }
    }

    /// The cluster whose centre is nearest to a point of some, and its squared distance.
    func nearest(to points: [Float], _ point: Int) -> (cluster: Int, distance: Double) {
        var best = (cluster: 0, value: -Double.infinity)
        for cluster in 0..<count {
            let value =
                product(points, point * width, centres, cluster * width, width: width) - halves[cluster]
            if value > best.value { best = (cluster, value) }
        }
        let length = product(points, point * width, points, point * width, width: width)
        return (best.cluster, max(0, length - 2 * best.value))
    }

    /// The cluster of every point.
    func clusters(
        of points: Embeddings, threads: Int, _ check: @Sendable () throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> [UInt32] {
        let size = Self.batchSize
        let parts = try mapConcurrently(
            (points.count + size - 1) / size, threads: threads
        ) { part throws(UserFacingError) in
            try check()
            let range = part * size..<min((part + 1) * size, points.count)
            let rows = try points.rows(range)
            return (0..<range.count).map { UInt32(nearest(to: rows, $0).cluster) }
        }
        return parts.flatMap(\.self)
    }

    private mutating func measure(_ cluster: Int) {
        halves[cluster] = product(centres, cluster * width, centres, cluster * width, width: width) / 2
    }

    /// The first centres, drawn from a sample of the points.
    private mutating func drawCentres(
        of points: Embeddings, _ count: Int, _ generator: inout SplitMix64,
        _ check: () throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let size = min(points.count, max(Self.sampleSize, 4 * count))
        var sample: [Float] = []
        for place in 0..<size {
            // Spread over all points, so that none is there twice.
            sample += try points[place * points.count / size]
        }
        func distances(to point: Int) -> [Double] {
            let length = product(sample, point * width, sample, point * width, width: width)
            return (0..<size).map { other in
                let own = product(sample, other * width, sample, other * width, width: width)
                let both = product(sample, point * width, sample, other * width, width: width)
                return max(0, own + length - 2 * both)
            }
        }
        func add(_ point: Int) {
            centres += sample[point * width..<(point + 1) * width]
            halves.append(product(sample, point * width, sample, point * width, width: width) / 2)
        }
        let first = Int(generator.next() % UInt64(size))
        var least = distances(to: first)
        add(first)
        let draws = 2 + (Int.bitWidth - count.leadingZeroBitCount)
        while self.count < count {
            try check()
            let sum = least.reduce(0, +)
            var best = (point: 0, least: [Double](), sum: Double.infinity)
            for _ in 0..<draws {
                var left = Double(generator.next() >> 11) * 0x1p-53 * sum
                let point = least.firstIndex { distance in
                    left -= distance
                    return left < 0
                }
                // All points left are centres already where nothing is left to draw by.
                let drawn = point ?? Int(generator.next() % UInt64(size))
                let nearer = zip(least, distances(to: drawn)).map { min($0, $1) }
                let nearerSum = nearer.reduce(0, +)
                if nearerSum < best.sum { best = (drawn, nearer, nearerSum) }
            }
            least = best.least
            add(best.point)
        }
    }
}
