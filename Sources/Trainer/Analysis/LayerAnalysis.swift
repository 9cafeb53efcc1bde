internal import Formats
internal import Models

/// Measures layers on windows of text: how far each turns the stream, and what the loss is without it or with it twice.
///
/// A layer that is left out or repeated changes nothing before it, so what enters each layer is kept for a batch, and only
/// what comes behind is computed again: half of the work of whole evaluations.
struct LayerAnalysis<Device: Engine> {
    /// What is measured besides the loss.
    struct Figures: OptionSet {
        let rawValue: Int
        /// Block influence.
        static var blockInfluence: Figures { Figures(rawValue: 1) }
        /// Angles of all blocks, and block influence.
        static var angles: Figures { Figures(rawValue: 2) }
        /// The loss without each layer.
        static var lossWithout: Figures { Figures(rawValue: 4) }
        /// The loss with each layer twice.
        static var lossRepeated: Figures { Figures(rawValue: 8) }
    }

    /// What was measured of layers in some order.
    struct Result {
        var loss: EvaluationResult
        var cosines: LayerCosines
        var lossWithout: [Double] = []
        var lossRepeated: [Double] = []
    }

    let model: Transformer<Device>
    let batches: [EvaluationBatch]
    /// Asked before each layer's losses; true stops.
    let isCancelled: () -> Bool
    /// Told how many layers have computed a batch since it was told last.
    let progress: (Int) -> Void

    /// How many times a layer computes a batch to measure `figures` of so many layers.
    static func work(_ figures: Figures, layers: Int) -> Int {
        layers + (figures.contains(.lossWithout) ? layers * (layers - 1) / 2 : 0)
            + (figures.contains(.lossRepeated) ? layers * (layers + 1) / 2 : 0)
    }

    /// Measures the model that the layers make in this order.
    ///
    /// - Throws: ``UserFacingError`` when it was stopped.
    func measure(_ order: [Int], _ figures: Figures) throws(UserFacingError) -> Result {
        var cosines = LayerCosines(layers: order.count)
        var base = EvaluationSum()
        var without = order.map { _ in EvaluationSum() }, repeated = without
        let size = model.streamCount
        var streams = [Float](repeating: 0, count: (order.count + 1) * size)
        for batch in batches {
            if isCancelled() { throw .interrupted("; nothing is kept") }
            model.embed(batch.sequences)
            keepStream(0, in: &streams)
            for (place, layer) in order.enumerated() {
                model.compute(layer: layer)
                keepStream(place + 1, in: &streams)
            }
            progress(order.count)
            base.add(model.streamLosses(), of: batch)
            if !figures.isDisjoint(with: [.blockInfluence, .angles]) {
                cosines.add(
                    streams.span, of: batch, columns: model.architecture.hiddenSize,
                    neighboursOnly: !figures.contains(.angles))
            }
            for (place, layer) in order.enumerated() {
                let behind = order[(place + 1)...]
                func losses(_ layers: [Int], from stream: Int) throws(UserFacingError) -> [Float] {
                    if isCancelled() { throw .interrupted("; nothing is kept") }
                    model.setStream(streams.span.extracting(stream * size..<(stream + 1) * size))
                    for layer in layers { model.compute(layer: layer) }
                    progress(layers.count)
                    return model.streamLosses()
                }
                if figures.contains(.lossWithout) {
                    without[place].add(try losses(Array(behind), from: place), of: batch)
                }
                if figures.contains(.lossRepeated) {
                    repeated[place].add(try losses([layer] + behind, from: place + 1), of: batch)
                }
            }
        }
        return Result(
            loss: base.result(bytes: nil), cosines: cosines,
            lossWithout: without.map { $0.result(bytes: nil).loss },
            lossRepeated: repeated.map { $0.result(bytes: nil).loss })
    }

    private func keepStream(_ place: Int, in streams: inout [Float]) {
        let size = model.streamCount
        var all = streams.mutableSpan
        var part = all._mutatingExtracting(place * size..<(place + 1) * size)
        model.readStream(into: &part)
    }
}

extension LayerAnalysis {
    /// Leaves layers out one after the other, the one that scores lowest of those that are left, until `count` are left.
    ///
    /// - Parameters:
    ///   - measure: what tells.
    ///   - count: how many layers stay, one at least.
    ///   - first: what was measured of all layers, with the measure among it.
    /// - Returns: the order in which they went.
    /// - Throws: ``UserFacingError`` when it was stopped.
    func removal(
        by measure: RemovalMeasure, to count: Int, first: Result
    ) throws(UserFacingError) -> LayerScores.Removal {
        var removal = LayerScores.Removal(by: measure.rawValue)
        var order = Array(model.layout.layers.indices)
        var result = first
        while order.count > count {
            let scores = measure == .loss ? result.lossWithout : result.cosines.blockInfluence
            let comparable = scores.map { $0.isNaN ? .infinity : $0 }
            guard let place = comparable.indices.min(by: { comparable[$0] < comparable[$1] }) else { break }
            removal.removed.append(order.remove(at: place))
            removal.scores.append(scores[place].ifFinite)
            result = try self.measure(order, order.count > count ? measure.figures() : [])
            removal.losses.append(result.loss.loss.ifFinite)
        }
        return removal
    }

    /// The work of a removal after all layers were measured.
    static func work(removingBy measure: RemovalMeasure, from layers: Int, to count: Int) -> Int {
        (count..<max(layers, count)).reduce(0) {
            $0 + work($1 > count ? measure.figures() : Figures(), layers: $1)
        }
    }
}

/// What tells which layer goes next when layers go one after the other.
public enum RemovalMeasure: String, Sendable, CaseIterable {
    /// The lowest block influence.
    case blockInfluence = "block-influence"
    /// The lowest loss without it.
    case loss

    func figures<Device>() -> LayerAnalysis<Device>.Figures { self == .loss ? .lossWithout : .blockInfluence }
}

extension Double {
    /// The number; nil for infinity and what is no number, which JSON cannot say.
    var ifFinite: Double? { isFinite ? self : nil }
}
