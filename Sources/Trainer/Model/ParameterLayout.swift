public import Formats
public import Models

/// What a parameter does, from which its learning rate and weight decay follow.
public enum ParameterRole: Sendable, Equatable {
    /// Rows that tokens become.
    case embedding
    /// Rows that positions become.
    case positions
    /// Rows that turn the last state into logits.
    case head
    /// Weights of a linear layer.
    case matrix
    /// An addend of a linear layer, a norm or a softmax.
    case bias
    /// The scale of a norm; its bias is a bias.
    case norm
    /// What no loss has a gradient of.
    case constant
}

/// One tensor of the checkpoint and where its values lie.
public struct Parameter: Sendable, Equatable {
    /// Its name in the checkpoint.
    public let name: String
    /// Its shape in the checkpoint.
    public let shape: [Int]
    /// Whether its last two dimensions lie the other way round in memory.
    public let isTransposed: Bool
    /// What it does.
    public let role: ParameterRole
    /// The module that it belongs to, and the layer; nil outside the layers.
    public let module: Module, layer: Int?
    /// Whether what it makes is added to the residual stream.
    public let writesResidual: Bool
    /// Its values: among the trained weights where it is trained, else among the frozen ones.
    public let weights: Region
    /// Its gradient, among all gradients; nil where it is frozen.
    public let gradient: Region?

    /// Whether it is trained.
    public var isTrained: Bool { gradient != nil }
    /// Its shape in memory.
    public var memoryShape: [Int] {
        guard isTransposed else { return shape }
        return shape.dropLast(2) + [shape[shape.count - 1], shape[shape.count - 2]]
    }

    /// The indices in the checkpoint's tensor of the value at a place in memory, outermost first.
    func indices(inFileOf place: Int) -> [Int] {
        var indices: [Int] = []
        var rest = place
        for size in memoryShape.reversed() {
            indices.insert(rest % size, at: 0)
            rest /= size
        }
        if isTransposed { indices.swapAt(indices.count - 1, indices.count - 2) }
        return indices
    }
}

/// Tensors that lie one after the other and are one operand: trained together or frozen together.
public struct ParameterBlock: Sendable, Equatable {
    /// The name of the first of them, in the checkpoint.
    public var name = ""
    /// What they do.
    public var role: ParameterRole
    /// Whether weight decay is for them: tensors of two or more dimensions in the checkpoint.
    public var decays: Bool
    /// Their values: among the trained weights, as the moments are, or among the frozen ones.
    public var weights: Region
    /// Their gradients; nil where they are frozen.
    public var gradient: Region?

    /// Whether they are trained.
    public var isTrained: Bool { gradient != nil }
}

/// Where every parameter of a model lies.
///
/// Tensors that a family stores apart but one product reads (queries, keys and values; gate and up; the experts of a
/// layer) lie one after the other, so that together they are the weights of that product. Trained weights are float32
/// in one buffer, whose places are also those of the moments. Frozen ones are words in another, kept as the
/// checkpoint has them, without gradient and moments. Gradients lie in the order in which the layers come, embedding
/// and head last: the backward pass, which goes the other way, fills them from the end.
public struct ParameterLayout: Sendable {
    /// How a layout keeps values.
    public struct Storage: Sendable {
        /// Whether the tensor of that name is trained.
        public var isTrained: @Sendable (String) -> Bool
        /// How the tensor of that name is kept where it is frozen.
        public var frozen: @Sendable (String) -> Precision
        /// How the gradients of the layers' matrices are kept.
        public var gradients: Precision

        /// Keeps every tensor trained, or as the closures say.
        public init(
            gradients: Precision = .f32, isTrained: @escaping @Sendable (String) -> Bool = { _ in true },
            frozen: @escaping @Sendable (String) -> Precision = { _ in .f32 }
        ) {
            self.gradients = gradients
            self.isTrained = isTrained
            self.frozen = frozen
        }
    }

    /// All tensors of the checkpoint, layer by layer, embedding and head last.
    public private(set) var parameters: [Parameter] = []
    /// Everything that is trained.
    public private(set) var trained: [ParameterBlock] = []
    /// The layers, from the first.
    private(set) var layers: [LayerBlock] = []
    /// The norm after the last layer.
    private(set) var finalNorm: NormBlock
    /// How tokens become rows.
    private(set) var embedding: EmbeddingBlock
    /// The output head: (V, C); the embedding itself when tied.
    private(set) var head: ParameterBlock
    /// How many values the trained weights have, and as many each moment.
    public private(set) var trainedCount = 0
    /// How many words the frozen weights take.
    public private(set) var frozenWords = 0
    /// How many words the gradients take.
    public private(set) var gradientWords = 0

    /// How many numbers the tensors have, without the gaps between them.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.weights.count } }
    /// How many of them are trained.
    public var trainedParameterCount: Int { trained.reduce(0) { $0 + $1.weights.count } }

    /// The lowest layer with something to train in it or below it: what lies under it is never differentiated.
    public var lowestTrainedLayer: Int {
        embedding.isTrained ? 0 : layers.firstIndex(where: \.isTrained) ?? layers.count
    }

    /// Lays out a model whose tensors are called by `naming`.
    ///
    /// - Throws: ``UserFacingError`` when tensors that one product reads are trained only in part.
    public init(
        _ architecture: Architecture, naming: TensorNaming, storage: Storage = Storage()
    ) throws(UserFacingError) {
        var builder = LayoutBuilder(architecture, naming, storage)
        for (index, layer) in architecture.layers.enumerated() {
            layers.append(try LayerBlock(layer, index: index, &builder))
        }
        builder.layer = nil
        finalNorm = try NormBlock(
            architecture.finalNorm, .finalNorm, columns: architecture.hiddenSize, &builder)
        embedding = try EmbeddingBlock(architecture, &builder)
        head =
            architecture.head.isTied
            ? embedding.table
            : try builder.weights(
                .head, outputs: architecture.vocabularySize, inputs: architecture.hiddenSize)
        (parameters, trained) = (builder.parameters, builder.trained)
        trainedCount = builder.trainedCount
        frozenWords = builder.frozenWords
        gradientWords = builder.gradientWords
    }
}

/// Gives the blocks of a model their parameters, one operand after the other.
struct LayoutBuilder {
    let architecture: Architecture
    let naming: TensorNaming
    private let storage: ParameterLayout.Storage
    /// The layer whose operands are asked for; nil outside the layers.
    var layer: Int?
    private(set) var parameters: [Parameter] = []
    private(set) var trained: [ParameterBlock] = []
    private(set) var trainedCount = 0, frozenWords = 0, gradientWords = 0

    init(_ architecture: Architecture, _ naming: TensorNaming, _ storage: ParameterLayout.Storage) {
        self.architecture = architecture
        self.naming = naming
        self.storage = storage
    }

    /// A tensor of the checkpoint.
    private struct FileTensor {
        var name: String
        var module: Module
        var shape: [Int]
        var isTransposed = false
    }

    // MARK: What blocks ask for

    /// The weights of one module: (outputs, inputs).
    mutating func weights(_ module: Module, outputs: Int, inputs: Int) throws(UserFacingError)
        -> ParameterBlock
    {
        try linear([(module, outputs)], inputs: inputs, hasBias: false).weight
    }

    /// A linear layer of one or several modules side by side, or of what holds all of them in one tensor.
    mutating func linear(
        _ parts: [(module: Module, outputs: Int)], fused: Module? = nil, inputs: Int, hasBias: Bool
    ) throws(UserFacingError) -> Linear {
        let outputs = parts.reduce(0) { $0 + $1.outputs }
        let chosen = choose(parts, fused, outputs)
        let role = role(of: parts[0].module)
        let writes = parts[0].module.writesResidual
        let weight = try add(
            chosen.map { row, count in
                tensor(
                    row, row.weight, row.isTransposed ? [inputs, count] : [count, inputs], row.isTransposed)
            }, role, writes)
        guard hasBias else { return Linear(weight: weight, bias: nil, inputs: inputs, outputs: outputs) }
        let bias = try add(chosen.map { row, count in tensor(row, row.bias, [count]) }, .bias, writes)
        return Linear(weight: weight, bias: bias, inputs: inputs, outputs: outputs)
    }

    /// The same linear layer of each expert: (E, outputs, inputs), the parts of an expert side by side.
    mutating func expertLinear(
        _ parts: [(module: Module, outputs: Int)], fused: Module? = nil, count: Int, inputs: Int,
        hasBias: Bool
    ) throws(UserFacingError) -> Linear {
        let outputs = parts.reduce(0) { $0 + $1.outputs }
        let chosen = choose(parts, fused, outputs)
        let writes = parts[0].module.writesResidual
        func tensors(_ ending: (TensorRow) -> String, _ shape: (TensorRow, Int) -> [Int]) -> [FileTensor] {
            if let (row, size) = chosen.first, chosen.count == 1, !row.name.contains("*") {
                return [tensor(row, ending(row), [count] + shape(row, size), row.isTransposed)]
            }
            return (0..<count).flatMap { expert in
                chosen.map { row, size in
                    tensor(row, ending(row), shape(row, size), row.isTransposed, number: expert)
                }
            }
        }
        let weight = try add(
            tensors(\.weight) { row, size in row.isTransposed ? [inputs, size] : [size, inputs] }, .matrix,
            writes)
        guard hasBias else { return Linear(weight: weight, bias: nil, inputs: inputs, outputs: outputs) }
        var biases = tensors(\.bias) { _, size in [size] }
        for index in biases.indices { biases[index].isTransposed = false }
        return Linear(weight: weight, bias: try add(biases, .bias, writes), inputs: inputs, outputs: outputs)
    }

    /// A vector of `parts` tensors of `count` values each: a norm's scale, or what is added to scores.
    mutating func vector(
        _ module: Module, isBias: Bool = false, count: Int, parts: Int = 1, role: ParameterRole
    ) throws(UserFacingError) -> ParameterBlock {
        let row = row(module)
        return try add(
            (0..<parts).map { tensor(row, isBias ? row.bias : row.weight, [count], number: $0) }, role, false)
    }

    /// A vector of `count` values that is never trained, for no loss has a gradient of it.
    mutating func constant(_ module: Module, count: Int) throws(UserFacingError) -> ParameterBlock {
        let row = row(module)
        return try add([tensor(row, row.weight, [count])], .constant, false)
    }

    // MARK: How it is laid out

    private func row(_ module: Module) -> TensorRow {
        guard let row = naming.row(module, layer: layer) else {
            preconditionFailure("the table of \(naming.family.name) has no \(module)")
        }
        return row
    }

    /// The tensors that make up a product: the one that holds all parts, or one for each part.
    private func choose(
        _ parts: [(module: Module, outputs: Int)], _ fused: Module?, _ outputs: Int
    ) -> [(TensorRow, Int)] {
        let family = naming.family
        if let fused, let row = naming.row(fused, layer: layer),
            family.rows(parts[0].module).isEmpty || naming.has(row, layer: layer)
        {
            return [(row, outputs)]
        }
        return parts.map { (row($0.module), $0.outputs) }
    }

    private func tensor(
        _ row: TensorRow, _ ending: String, _ shape: [Int], _ isTransposed: Bool = false, number: Int = 0
    ) -> FileTensor {
        FileTensor(
            name: naming.name(row, ending, layer: layer, number: number), module: row.module, shape: shape,
            isTransposed: isTransposed)
    }

    private func role(of module: Module) -> ParameterRole {
        switch module {
        case .embedding: .embedding
        case .positions: .positions
        case .head: .head
        default: .matrix
        }
    }

    /// Appends tensors that are one operand.
    private mutating func add(
        _ tensors: [FileTensor], _ role: ParameterRole, _ writesResidual: Bool
    ) throws(UserFacingError) -> ParameterBlock {
        let names = tensors.map(\.name)
        let counts = tensors.map { $0.shape.reduce(1, *) }
        let count = counts.reduce(0, +)
        var block = ParameterBlock(
            name: names.first ?? "", role: role, decays: tensors.contains { $0.shape.count >= 2 },
            weights: .empty)
        let isTrained = role == .constant ? false : try areTrained(names)
        if isTrained {
            block.weights = Region(.f32, start: Self.take(count, from: &trainedCount), count: count)
            let packs = role == .matrix && Self.fit(counts, storage.gradients)
            let region = Region(packs ? storage.gradients : .f32, start: 0, count: count)
            block.gradient = Region(
                region.precision, start: Self.take(region.words.count, from: &gradientWords), count: count)
            trained.append(block)
        } else {
            let region = Region(frozenPrecision(names, counts, role), start: 0, count: count)
            block.weights = Region(
                region.precision, start: Self.take(region.words.count, from: &frozenWords), count: count)
        }
        var start = 0
        for (tensor, count) in zip(tensors, counts) {
            let range = start..<start + count
            parameters.append(
                Parameter(
                    name: tensor.name, shape: tensor.shape, isTransposed: tensor.isTransposed, role: role,
                    module: tensor.module, layer: layer,
                    writesResidual: writesResidual, weights: block.weights[range],
                    gradient: block.gradient?[range]))
            start = range.upperBound
        }
        return block
    }

    /// Whether all the tensors of one operand are trained.
    private func areTrained(_ names: [String]) throws(UserFacingError) -> Bool {
        let trained = names.filter(storage.isTrained)
        guard trained.isEmpty || trained.count == names.count else {
            throw .partlyTrained(trained: trained, frozen: names.filter { !trained.contains($0) })
        }
        return !trained.isEmpty
    }

    /// How a frozen operand is kept: as all of its tensors are; vectors, and what would share a word, in float32.
    private func frozenPrecision(_ names: [String], _ counts: [Int], _ role: ParameterRole) -> Precision {
        let precisions = names.map(storage.frozen)
        guard let first = precisions.first, precisions.allSatisfy({ $0 == first }),
            ![.norm, .bias, .constant].contains(role), Self.fit(counts, first)
        else { return .f32 }
        return first
    }

    /// Whether each of the tensors begins with a word of its own in this precision.
    private static func fit(_ counts: [Int], _ precision: Precision) -> Bool {
        counts.allSatisfy { $0.isMultiple(of: precision.valuesPerWord) }
    }

    /// The start of `count` more, at the beginning of a block of moments.
    private static func take(_ count: Int, from total: inout Int) -> Int {
        let start = (total + 255) / 256 * 256
        total = start + count
        return start
    }
}
