public import Formats

/// Which layer of a model each layer of another one is made from, and how: numbers, nothing else.
///
/// Layers are counted from 0, and ranges include both ends.
public struct LayerPlan: Sendable, Equatable {
    /// A layer of the result.
    public struct Layer: Sendable, Hashable {
        /// The layer of the source that it is made from.
        public var source: Int
        /// Whether what it writes into the residual stream is zero, so that it passes on what it is given.
        public var zeroesWriters = false
        /// What the tensors that write into the residual stream are multiplied by.
        public var scale: Float = 1

        /// A layer as its source's is.
        public init(_ source: Int) { self.source = source }
    }

    /// How many layers the source has.
    public let sourceCount: Int
    /// The layers of the result, in order.
    public let layers: [Layer]

    /// A plan of these layers.
    ///
    /// - Throws: ``UserFacingError`` when there is none, or one that the source has not.
    public init(_ layers: [Layer], of sourceCount: Int) throws(UserFacingError) {
        guard !layers.isEmpty else { throw .noLayersPlanned }
        for layer in layers where layer.source < 0 || layer.source >= sourceCount {
            throw .layerOutside(layer.source, of: sourceCount)
        }
        self.sourceCount = sourceCount
        self.layers = layers
    }

    /// A plan of consecutive layers as they are, one run after another.
    ///
    /// - Throws: ``UserFacingError`` when there is none, or one that the source has not.
    public init(runs: [Range<Int>], of sourceCount: Int) throws(UserFacingError) {
        try self.init(runs.flatMap { $0.map { Layer($0) } }, of: sourceCount)
    }

    /// How many layers the result has.
    public var count: Int { layers.count }

    /// For each layer of the result, the layer of the source it is made from.
    public var sources: [Int] { layers.map(\.source) }

    /// For each layer of the result, what it is to its source.
    public var origins: [LayerOrigins.Kind] {
        LayerOrigins.kinds(of: layers.lazy.map { ($0.source, $0.zeroesWriters) })
    }

    /// Whether something that every `period`-th layer has stays where counting would find it.
    ///
    /// It does when each layer moves by a multiple of the period, whatever the phase.
    public func keeps(period: Int) -> Bool {
        sources.enumerated().allSatisfy { ($0.offset - $0.element).isMultiple(of: period) }
    }

    /// How many layers at the result's start are made from the source's first `count`, when no later one is.
    ///
    /// - Returns: nil when the layers made from them are not all at the start.
    public func leading(_ count: Int) -> Int? {
        let isLeading = sources.map { $0 < count }
        let length = isLeading.prefix { $0 }.count
        return isLeading.dropFirst(length).contains(true) ? nil : length
    }

    /// How many layers at the result's end are made from the source's last `count`, when no earlier one is.
    ///
    /// - Returns: nil when the layers made from them are not all at the end.
    public func trailing(_ count: Int) -> Int? {
        leading(sourceCount - count).map { self.count - $0 }
    }
}

// MARK: - As text

extension LayerPlan: CustomStringConvertible {
    /// Runs of consecutive layers as they are typed, `0-23,8-31` or `0-3,3:zero,4-7:scale=0.7`.
    ///
    /// `31-24` counts down.
    public var description: String {
        var parts: [String] = []
        var start = 0
        while start < layers.count {
            let first = layers[start]
            var end = start + 1
            var step = 0
            while end < layers.count, layers[end].isLike(first) {
                let next = layers[end].source - layers[end - 1].source
                guard abs(next) == 1, step == 0 || next == step else { break }
                step = next
                end += 1
            }
            let last = layers[end - 1]
            parts.append(
                (end - start == 1 ? "\(first.source)" : "\(first.source)-\(last.source)")
                    + (first.zeroesWriters ? ":zero" : "") + (first.scale == 1 ? "" : ":scale=\(first.scale)")
            )
            start = end
        }
        return parts.joined(separator: ",")
    }

    /// The plan that a text stands for.
    ///
    /// - Parameters:
    ///   - text: layers and ranges of layers with commas between, each with `:zero` or `:scale=X` behind where it is not
    ///     taken as it is.
    ///   - sourceCount: how many layers the source has.
    /// - Throws: ``UserFacingError`` that quotes the part which can't be read, or names a layer that is not there.
    public init(_ text: String, of sourceCount: Int) throws(UserFacingError) {
        var layers: [Layer] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: ":", omittingEmptySubsequences: false).map { $0.trimmed }
            guard let range = Self.range(words[0]) else {
                throw .malformedPlan(text, part: String(part), expected: "a layer or a range, as in 8-31")
            }
            var layer = Layer(0)
            for word in words.dropFirst() {
                if word == "zero" {
                    layer.zeroesWriters = true
                } else if word.hasPrefix("scale="), let scale = Float(word.dropFirst(6)), scale.isFinite {
                    layer.scale = scale
                } else {
                    throw .malformedPlan(
                        text, part: String(part), expected: "zero or scale=X behind the colon")
                }
            }
            for source in [range.first, range.last] where source >= sourceCount {
                throw .layerOutside(source, of: sourceCount)
            }
            for source in stride(
                from: range.first, through: range.last, by: range.first <= range.last ? 1 : -1)
            {
                layer.source = source
                layers.append(layer)
            }
        }
        try self.init(layers, of: sourceCount)
    }

    /// Layers that are listed, each once: `3,5,20-23`.
    ///
    /// - Throws: ``UserFacingError`` that quotes the part which can't be read.
    static func list(_ text: String, of sourceCount: Int) throws(UserFacingError) -> [Int] {
        let plan = try LayerPlan(text, of: sourceCount)
        guard plan.layers.allSatisfy({ !$0.zeroesWriters && $0.scale == 1 }) else {
            throw .malformedPlan(text, part: text, expected: "layers alone, as in 3,5,20-23")
        }
        var listed: Set<Int> = []
        for source in plan.sources where !listed.insert(source).inserted {
            throw .malformedPlan(text, part: "\(source)", expected: "each layer once")
        }
        return plan.sources
    }

    private static func range(_ text: String) -> (first: Int, last: Int)? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map {
            Self.number($0.trimmed)
        }
        switch ends.count {
        case 1: return ends[0].map { ($0, $0) }
        case 2:
            guard let first = ends[0], let last = ends[1] else { return nil }
            return (first, last)
        default: return nil
        }
    }

    private static func number(_ text: String) -> Int? {
        text.utf8.allSatisfy { (48...57).contains($0) } ? Int(text) : nil
    }
}

extension LayerPlan.Layer {
    /// Whether another one is made in the same way, if of another layer.
    fileprivate func isLike(_ other: Self) -> Bool {
        zeroesWriters == other.zeroesWriters && scale == other.scale
    }
}

extension Substring {
    /// Without spaces around it.
    var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

// MARK: - Errors

extension UserFacingError {
    /// A plan without layers.
    package static var noLayersPlanned: Self { Self(.request, "a model without layers is asked for") }

    /// A layer that the source does not have.
    package static func layerOutside(_ layer: Int, of count: Int) -> Self {
        Self(
            .request,
            count > 0
                ? "layer \(layer) is asked of a model that has layers 0 to \(count - 1)"
                : "layer \(layer) is asked of a model that has none")
    }

    /// A part of a plan that can't be read.
    package static func malformedPlan(_ text: String, part: String, expected: String) -> Self {
        Self(.request, "the layers '\(text)' can't be read at '\(part)': expected \(expected)")
    }
}
