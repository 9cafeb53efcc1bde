internal import Formats
internal import Models
internal import OrderedCollections

/// How far training has moved a part of a model from where it began.
public struct Drift: Codable, Sendable, Equatable {
    /// Rows of embedding and head: those that the surgery's source has, and those that it has not.
    public enum Rows: String, Codable, Sendable { case old, new }

    /// The part: `embedding`, `positions`, `embedding norm`, `layer 3`, `final norm`, `head`.
    public let part: String
    /// The layer, counted from 0; nil outside the layers.
    public let layer: Int?
    /// Which of its rows; nil for all of them.
    public let rows: Rows?
    /// What the surgery has made of the layer: `original`, `duplicate` or `identity`; nil where nobody knows.
    public let origin: String?
    /// How many numbers it has.
    public let parameters: Int
    /// ‖θ − θ₀‖: the root of the sum of the squares of what its numbers were moved by; exactly 0 for what is frozen.
    public let distance: Double
    /// ‖θ₀‖: the root of the sum of the squares of what they were.
    public let norm: Double

    /// The distance as a share of the norm; nil where all numbers were 0 and were moved.
    public var share: Double? { distance == 0 ? 0 : norm > 0 ? distance / norm : nil }
}

extension PretrainedModel {
    /// How far tensors have moved from this model, part by part: embedding, layers, final norm, head.
    ///
    /// Both are read some numbers at a time and compared in float32: what was trained as it is trained, before it is stored
    /// in the files' type.
    ///
    /// - Parameters:
    ///   - masters: what was trained since, by name, of this model's shapes; what is not among it has not moved.
    ///   - engine: what computes.
    ///   - isCancelled: asked before each tensor; true stops.
    /// - Returns: the parts.
    /// - Throws: ``UserFacingError`` when a file or an earlier manifest can't be read, there is no memory, or it was stopped.
    func drift<Device: Engine>(
        to masters: [String: TensorExpression], on engine: Device, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> [Drift] {
        let origins = try ModelOrigins(of: self)
        let meter = try DriftMeter(on: engine)
        var parts: OrderedDictionary<Part, DriftSum> = [:]
        for parameter in layout.parameters {
            guard let beginning = checkpoint.tensors[parameter.name] else { continue }
            if isCancelled() { throw .interrupted }
            let width = parameter.weights.count / max(1, parameter.shape.first ?? 1)
            for (rows, which) in Self.rows(of: parameter, origins) {
                try meter.add(
                    rows.lowerBound * width..<rows.upperBound * width, of: beginning,
                    now: masters[parameter.name], to: &parts[Part(parameter, which), default: DriftSum()])
            }
        }
        let ordered = parts.filter(\.key.isInput) + parts.filter { !$0.key.isInput }
        return ordered.map { part, sum in
            Drift(
                part: part.name, layer: part.layer, rows: part.rows,
                origin: part.layer.flatMap { origins?.kind(of: $0)?.rawValue }, parameters: sum.count,
                distance: sum.moved.squareRoot(), norm: sum.begun.squareRoot())
        }
    }

    /// The rows of a tensor, in order, and which of them each are.
    private static func rows(
        of parameter: Parameter, _ origins: ModelOrigins?
    ) -> [(rows: Range<Int>, which: Drift.Rows?)] {
        let all = 0..<(parameter.shape.first ?? 1)
        let new = origins?.newRows[parameter.name] ?? []
        let isEnd = [.embedding, .head].contains(parameter.module)
        guard isEnd, !new.isEmpty else { return [(all, nil)] }
        let parts: [(rows: Range<Int>, which: Drift.Rows?)] =
            all.without(new).map { ($0, .old) } + new.map { ($0, .new) }
        return parts.sorted { $0.rows.lowerBound < $1.rows.lowerBound }
    }
}

/// What is told of together.
private struct Part: Hashable {
    enum Place: Hashable { case layer(Int), outside(Module) }

    let place: Place
    let rows: Drift.Rows?

    init(_ parameter: Parameter, _ rows: Drift.Rows?) {
        place = parameter.layer.map { .layer($0) } ?? .outside(parameter.module)
        self.rows = rows
    }

    var layer: Int? { if case .layer(let layer) = place { layer } else { nil } }

    /// Whether it lies before the first layer.
    var isInput: Bool {
        [.outside(.embedding), .outside(.positions), .outside(.embeddingNorm)].contains(place)
    }

    var name: String {
        switch place {
        case .layer(let layer): "layer \(layer)"
        case .outside(.embedding): "embedding"
        case .outside(.positions): "positions"
        case .outside(.embeddingNorm): "embedding norm"
        case .outside(.finalNorm): "final norm"
        case .outside: "head"
        }
    }
}

/// The sums of the squares of what numbers were and of what they were moved by.
private struct DriftSum { var count = 0, begun = 0.0, moved = 0.0 }

/// Compares numbers on a device, which computes.
private struct DriftMeter<Device: Engine> {
    private let engine: Device
    private let begun: Device.Buffer, moved: Device.Buffer
    private let norm: Device.Scalar

    /// How many numbers are compared at once.
    private static var piece: Int { 1 << 20 }

    init(on engine: Device) throws(UserFacingError) {
        self.engine = engine
        begun = try engine.makeBuffer(count: Self.piece)
        moved = try engine.makeBuffer(count: Self.piece)
        norm = engine.makeScalar()
    }

    /// Adds some numbers of a tensor; `now` is what it has become, nil where it has not moved.
    func add(
        _ range: Range<Int>, of tensor: TensorExpression, now: TensorExpression?, to sum: inout DriftSum
    ) throws(UserFacingError) {
        var values = [Float](repeating: 0, count: min(Self.piece, range.count))
        for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.piece) {
            let part = start..<min(start + Self.piece, range.upperBound)
            let (begun, moved) = (Tensor(begun[0..<part.count]), Tensor(moved[0..<part.count]))
            try copy(part, of: tensor, to: begun, by: &values)
            sum.count += part.count
            sum.begun += squares(of: begun)
            guard let now else { continue }
            try copy(part, of: now, to: moved, by: &values)
            engine.add(moved, moved, begun, factor: -1)
            sum.moved += squares(of: moved)
        }
    }

    private func copy(
        _ part: Range<Int>, of tensor: TensorExpression, to place: Tensor<Device.Buffer>,
        by values: inout [Float]
    ) throws(UserFacingError) {
        var span = values.mutableSpan
        var room = span._mutatingExtracting(first: part.count)
        try tensor.floats(part, into: &room)
        engine.upload(values.span.extracting(first: part.count), to: place)
    }

    private func squares(of values: Tensor<Device.Buffer>) -> Double {
        engine.gradientNorm([values], to: norm)
        let root = engine.read(norm)
        return root * root
    }
}
