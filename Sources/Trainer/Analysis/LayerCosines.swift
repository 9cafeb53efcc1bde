internal import Foundation

/// How far the stream turns from layer to layer: means over tokens of cosines and angles between what lies before and behind.
///
/// Source: block influence 1 − E cos(x_l, x_l+1), ShortGPT, arXiv 2403.03853, equation 1; angular distance
/// (1/π) · arccos(cos(x_l, x_l+k)), arXiv 2403.17887, equation 6. Computed in double precision.
struct LayerCosines {
    /// How many layers lie between the streams.
    private let layers: Int
    /// The sum of cosines of each layer.
    private var cosines: [Double]
    /// Sums of angles: by the length of the block less one and its first layer, of all tokens and of the last ones.
    private var angles: [[Double]], lastAngles: [[Double]]
    private var tokens = 0, lasts = 0

    init(layers: Int) {
        self.layers = layers
        cosines = Array(repeating: 0, count: layers)
        angles = (0..<layers).map { Array(repeating: 0, count: layers - $0) }
        lastAngles = angles
    }

    /// 1 − the mean cosine of each layer.
    var blockInfluence: [Double] { cosines.map { 1 - $0 / Double(tokens) } }

    /// The mean angles over all tokens, in parts of π.
    var meanAngularDistance: [[Double]] { angles.map { $0.map { $0 / Double(tokens) } } }

    /// The mean angles over the last token of each window, in parts of π.
    var angularDistance: [[Double]] { lastAngles.map { $0.map { $0 / Double(lasts) } } }

    /// Adds the tokens of a batch that are asked for.
    ///
    /// - Parameters:
    ///   - streams: what lies before, between and behind the layers, (layers + 1, R, C).
    ///   - batch: the windows.
    ///   - columns: C.
    ///   - neighboursOnly: whether only blocks of one layer count.
    mutating func add(
        _ streams: Span<Float>, of batch: EvaluationBatch, columns: Int, neighboursOnly: Bool = false
    ) {
        let targets = batch.sequences.targets
        let isLast = Set(batch.lasts)
        for row in targets.indices where targets[row] >= 0 {
            // Where each stream has the token.
            let places = (0...layers).map { ($0 * targets.count + row) * columns }
            let lengths = places.map { dot(streams, $0, $0, columns).squareRoot() }
            for first in 0..<layers {
                let end = neighboursOnly ? first + 1 : layers
                for behind in first + 1...end {
                    let product = lengths[first] * lengths[behind]
                    // A stream of zeros has no direction; PyTorch's cosine of it is 0, too.
                    let cosine =
                        product > 0 ? dot(streams, places[first], places[behind], columns) / product : 0
                    let angle = acos(min(1, max(-1, cosine))) / .pi
                    if behind == first + 1 { cosines[first] += cosine }
                    angles[behind - first - 1][first] += angle
                    if isLast.contains(row) { lastAngles[behind - first - 1][first] += angle }
                }
            }
            tokens += 1
            if isLast.contains(row) { lasts += 1 }
        }
    }

    /// The inner product of `count` values from `x` and from `y` on, in four sums so that they need not wait for each other.
    private func dot(_ values: Span<Float>, _ x: Int, _ y: Int, _ count: Int) -> Double {
        let (x, y) = (values.extracting(x..<x + count), values.extracting(y..<y + count))
        var (a, b, c, d) = (0.0, 0.0, 0.0, 0.0)
        var index = 0
        while index + 4 <= count {
            a += Double(x[index]) * Double(y[index])
            b += Double(x[index + 1]) * Double(y[index + 1])
            c += Double(x[index + 2]) * Double(y[index + 2])
            d += Double(x[index + 3]) * Double(y[index + 3])
            index += 4
        }
        while index < count {
            a += Double(x[index]) * Double(y[index])
            index += 1
        }
        return (a + b) + (c + d)
    }
}
