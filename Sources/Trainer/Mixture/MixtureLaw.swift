internal import Foundation

/// How a text's loss follows from its share of the training and from the tokens trained on, for one model.
///
/// It is the D-CPT law (arXiv 2406.01375, section 3) at a fixed size,
///
///     L(r, D) = E + B · r^η / D^β + C / (r + ε)^γ
///
/// r is the share of the text's own domain, D counts in millions of tokens. B may be negative: where little of a domain is
/// shown, its loss grows with what else is learned.
public struct MixtureLaw: Codable, Sendable, Equatable {
    /// What no training removes.
    public var e: Double
    /// How much tokens weigh, and how that depends on the share and falls with their number.
    public var b: Double, eta: Double, beta: Double
    /// How much a small share costs, and how fast that falls.
    public var c: Double, gamma: Double, epsilon: Double

    /// A loss that was measured.
    public struct Point: Codable, Sendable, Equatable {
        /// The share of the text's own domain, above 0 and below 1.
        public var share: Double
        /// Tokens trained on, in millions.
        public var millions: Double
        /// The loss, in any unit.
        public var loss: Double

        /// A point.
        public init(share: Double, millions: Double, loss: Double) {
            (self.share, self.millions, self.loss) = (share, millions, loss)
        }
    }

    /// The loss at a share and a number of tokens in millions.
    public func loss(share: Double, millions: Double) -> Double {
        let terms = exponents.terms(share: share, millions: millions)
        return e + b * terms.tokens + c * terms.share
    }

    /// The law that is nearest to what was measured, by the sum of the squares of relative distances.
    ///
    /// E, B and C enter linearly, so they follow from the four exponents, which are looked for on a grid and then
    /// step by step; E and C are not negative.
    ///
    /// - Parameter points: seven or more.
    public init(fitting points: [Point]) {
        precondition(points.count >= 7, "a law has seven numbers")
        var (best, exponents) = (Solution.none, Exponents.lowest)
        func consider(_ candidate: Exponents) -> Bool {
            let found = Solution(points, candidate)
            guard found.error < best.error else { return false }
            (best, exponents) = (found, candidate)
            return true
        }
        for candidate in Exponents.grid { _ = consider(candidate) }
        var step = log(Exponents.ratio) / 2
        var rounds = 0
        while step > 1e-4, rounds < Self.mostRounds {
            rounds += 1
            var isBetter = false
            for index in 0..<4 {
                for direction in [-step, step] {
                    isBetter = consider(exponents.moved(index, by: direction)) || isBetter
                }
            }
            if !isBetter { step /= 2 }
        }
        (e, b, c) = (best.e, best.b, best.c)
        (eta, beta, gamma, epsilon) = (exponents.eta, exponents.beta, exponents.gamma, exponents.epsilon)
    }

    /// How often the exponents are moved at most; more changes nothing that can be measured.
    private static let mostRounds = 500

    private var exponents: Exponents { Exponents(eta: eta, beta: beta, gamma: gamma, epsilon: epsilon) }
}

/// What does not enter linearly.
private struct Exponents {
    var eta: Double, beta: Double, gamma: Double, epsilon: Double

    /// Between which they are looked for.
    private static let ranges = [0.05...4, 0.05...2, 0.05...4, 0.001...1]
    /// How far neighbours on the grid are apart.
    static let ratio = 3.0
    static let lowest = Exponents(ranges.map(\.lowerBound))

    init(eta: Double, beta: Double, gamma: Double, epsilon: Double) {
        (self.eta, self.beta, self.gamma, self.epsilon) = (eta, beta, gamma, epsilon)
    }

    private init(_ values: [Double]) {
        self.init(eta: values[0], beta: values[1], gamma: values[2], epsilon: values[3])
    }

    private var values: [Double] { [eta, beta, gamma, epsilon] }

    static var grid: [Exponents] {
        ranges.reduce([[]]) { rows, range in
            let steps = Int((log(range.upperBound / range.lowerBound) / log(ratio)).rounded(.up))
            let column = (0...steps).map { min(range.upperBound, range.lowerBound * pow(ratio, Double($0))) }
            return rows.flatMap { row in column.map { row + [$0] } }
        }.map(Exponents.init)
    }

    /// One of them moved on a scale of logarithms, within its range.
    func moved(_ index: Int, by step: Double) -> Exponents {
        var values = values
        let range = Self.ranges[index]
        values[index] = min(range.upperBound, max(range.lowerBound, values[index] * exp(step)))
        return Exponents(values)
    }

    /// r^η / D^β and 1 / (r + ε)^γ.
    func terms(share: Double, millions: Double) -> (tokens: Double, share: Double) {
        (pow(share, eta) / pow(millions, beta), 1 / pow(share + epsilon, gamma))
    }
}

/// The linear part that is nearest for given exponents.
private struct Solution {
    var e = 0.0, b = 0.0, c = 0.0
    /// The sum of the squares of relative distances.
    var error = Double.infinity

    static let none = Solution()

    private init() {}

    init(_ points: [MixtureLaw.Point], _ exponents: Exponents) {
        // Normal equations of rows of relative size, (1, tokens, share) / loss, for which 1 is wanted.
        var (ee, eb, ec, bb, bc, cc) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        var (e1, b1, c1) = (0.0, 0.0, 0.0)
        for point in points {
            let terms = exponents.terms(share: point.share, millions: point.millions)
            let (e, b, c) = (1 / point.loss, terms.tokens / point.loss, terms.share / point.loss)
            ee += e * e
            eb += e * b
            ec += e * c
            bb += b * b
            bc += b * c
            cc += c * c
            e1 += e
            b1 += b
            c1 += c
        }
        self = .none
        func consider(_ e: Double, _ b: Double, _ c: Double) {
            guard e >= 0, c >= 0, e.isFinite, b.isFinite, c.isFinite else { return }
            let crossed = e * b * eb + e * c * ec + b * c * bc
            let squares = e * e * ee + b * b * bb + c * c * cc + 2 * crossed
            let error = max(0, Double(points.count) - 2 * (e * e1 + b * b1 + c * c1) + squares)
            if error < self.error { (self.e, self.b, self.c, self.error) = (e, b, c, error) }
        }
        // Each of E and C is either free or 0; the least error of those that are allowed is the bounded solution.
        let whole = ee * (bb * cc - bc * bc) - eb * (eb * cc - bc * ec) + ec * (eb * bc - bb * ec)
        if whole > 1e-12 * ee * bb * cc {
            consider(
                (e1 * (bb * cc - bc * bc) - eb * (b1 * cc - bc * c1) + ec * (b1 * bc - bb * c1)) / whole,
                (ee * (b1 * cc - bc * c1) - e1 * (eb * cc - bc * ec) + ec * (eb * c1 - b1 * ec)) / whole,
                (ee * (bb * c1 - b1 * bc) - eb * (eb * c1 - b1 * ec) + e1 * (eb * bc - bb * ec)) / whole)
        }
        let (left, right) = (ee * bb - eb * eb, bb * cc - bc * bc)
        if left > 1e-12 * ee * bb { consider((e1 * bb - eb * b1) / left, (ee * b1 - eb * e1) / left, 0) }
        if right > 1e-12 * bb * cc { consider(0, (b1 * cc - bc * c1) / right, (bb * c1 - bc * b1) / right) }
        consider(0, b1 / bb, 0)
    }
}
