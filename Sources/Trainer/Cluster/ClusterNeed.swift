internal import Formats
public import Models

/// A teacher told from its config.json alone: its shape, and how many bytes a number has in its files.
public struct DescribedTeacher: Sendable {
    let model: DescribedModel, width: Int

    /// Reads the configuration of a folder, which says how numbers are stored.
    ///
    /// - Throws: ``UserFacingError`` when there is none, or it asks for something unknown.
    public init(_ folder: String) throws {
        let folder = try HubCache.path(of: folder)
        model = try PretrainedModel.described(folder)
        let path = Path.join(folder, Configuration.fileName)
        let stored = try Configuration(parsing: InputFile(path: path).bytes(), file: path).elementType
        width = stored == .bf16 || stored == .f16 ? 2 : 4
    }
}

/// The memory that each process of PyTorch's engine takes, and the work of a token, told from the shapes in config.json alone.
///
/// FSDP2 deals the rows of each tensor out to the processes: weights, gradients and both moments in float32. What is whole at a time is a
/// layer, and what belongs to no layer (embedding, head, last norm) from the forward pass until the end of the backward pass. What is
/// left out: the program itself, CUDA's context and what NCCL and the allocator keep beside what was asked for.
///
/// transformers has the experts of a layer in one tensor, whose rows are experts: a process has whole ones.
public struct ClusterNeed: Sendable, Equatable {
    /// How many processes there are.
    public let processes: Int
    /// A process's rows of all weights and, of what is trained, of both moments, in float32.
    public let weights: Int, moments: Int
    /// A process's rows of the teacher's weights, as they are stored; 0 where there is none.
    public let teacher: Int
    /// At the fullest moment of a step: its rows of the gradients.
    public let gradients: Int
    /// At that moment: weights and gradients that are whole, a layer's or those of no layer, and what is sent of them.
    public let gathered: Int
    /// At that moment: what the backward pass needs of the forward pass, and what it makes of that.
    public let activations: Int
    /// At that moment: the rows of logits that are there at once, what the loss keeps of them, and their gradient.
    public let logits: Int
    /// The host's memory while the model is opened: a process's rows as the files have them.
    public let loading: Int
    /// The host's memory in which the first process puts a file of the result together, as the model has it, twice.
    public let writing: Int
    /// On a CPU: what the program takes once it computes, whatever the model.
    public let program: Int
    /// Where the weights lie: on a CPU the host's memory is the device's.
    public let device: ClusterSettings.Device

    /// The most that a process takes of its device.
    public var total: Int {
        let step = weights + moments + gradients + gathered + activations + logits
        return program + teacher
            + (device == .cuda ? step : max(step, weights + loading, weights + moments + writing))
    }

    /// The most that the first process of a host takes of the host's memory, beside the device's.
    public var host: Int { device == .cuda ? max(loading, writing) : 0 }

    /// What a process takes.
    ///
    /// - Parameters:
    ///   - model: its shape.
    ///   - teacher: from whose predictions stages learn that say so; nil for none.
    ///   - stages: one at least; the fullest counts.
    ///   - processes: among how many everything is dealt out.
    ///   - settings: what computes, and in what.
    /// - Throws: ``UserFacingError`` when tensors that one product reads are trained only in part.
    public init(
        _ model: DescribedModel, teacher: DescribedTeacher? = nil, _ stages: [StagePlan], processes: Int,
        _ settings: ClusterSettings
    ) throws {
        let isTrained: @Sendable (String) -> Bool = { name in stages.contains { $0.trained.contains(name) } }
        let shapes = try ShardedShapes(model, processes: processes, isTrained: isTrained)
        let taught = try teacher.map { teacher in
            let its = try ShardedShapes(teacher.model, processes: processes) { _ in false }
            return (its, teacher.model.architecture)
        }
        let width = settings.settledPrecision == .bf16 ? 2 : 4
        (self.processes, device) = (processes, settings.device)
        // As it was measured: PyTorch's and transformers' code that is loaded late, and the threads' own.
        program = device == .cpu ? 150_000_000 : 0
        weights = 4 * shapes.own
        self.teacher = (teacher?.width ?? 0) * (taught?.0.own ?? 0)
        loading = 2 * shapes.own
        writing = 2 * 2 * min(shapes.trained, Self.resultFile / 2)
        moments = 8 * stages.map { plan in shapes.ownOf { plan.trained.contains($0) } }.reduce(0, max)
        var fullest = Moment()
        for plan in stages {
            let moments = Self.moments(
                plan, model.architecture, shapes, plan.teaching == nil ? nil : taught, width)
            fullest = moments.reduce(fullest) { $1.total > $0.total ? $1 : $0 }
        }
        gradients = fullest.gradients
        (gathered, activations, logits) = (fullest.gathered, fullest.activations, fullest.logits)
    }

    /// Bytes of a file of the result at most, as the worker writes them; rows of logits that are there at once.
    private static let resultFile = 5_000_000_000, chunk = 1_024

    /// What is there beside weights and moments at a moment of a step, in bytes.
    private struct Moment {
        var gradients = 0, gathered = 0, activations = 0, logits = 0
        var total: Int { gradients + gathered + activations + logits }
    }

    /// The moments of a step that may be the fullest.
    private static func moments(
        _ plan: StagePlan, _ architecture: Architecture, _ shapes: ShardedShapes,
        _ teacher: (shapes: ShardedShapes, architecture: Architecture)?, _ width: Int
    ) -> [Moment] {
        let processes = shapes.processes
        let tokens = (plan.batch + processes - 1) / processes * plan.length
        // Where rows are distilled, only what both readings go through is remembered.
        let layers = architecture.layers.prefix(plan.rows?.layer ?? .max).map {
            tokens * $0.savedBytes(architecture.hiddenSize, width: width)
        }
        let residual = tokens * width * architecture.hiddenSize
        let largest = layers.max() ?? 0
        // What a token sees, as transformers makes it: a number for each pair.
        let mask = 4 * tokens * plan.length
        let kept =
            mask + 2 * residual
            // The old reading, and the difference, in float32.
            + (plan.rows == nil ? 0 : 2 * 4 * tokens * architecture.hiddenSize)
            + (plan.recomputation == .layer ? layers.count * residual + largest : layers.reduce(0, +))
        // A step's later parts find the gradients of the first.
        let before = plan.accumulate > 1 ? 4 * shapes.ownTrained : 0
        // Cross entropy is in float32: logits, their logarithms and the gradient.
        let rows = plan.rows != nil && architecture.head.isTied ? 0 : min(chunk, tokens)
        let head = width * architecture.vocabularySize * architecture.hiddenSize
        // A gradient that is added to is there twice; several processes send it from buffers of its own.
        let heads = rows < tokens ? 2 : 1
        let sent = processes > 1 ? width * shapes.rest : 0
        let atHead = Moment(
            gradients: before,
            gathered: width * (shapes.rest + 2 * shapes.largestLayer) + heads * head,
            activations: kept,
            logits: rows * architecture.vocabularySize * (3 * 4 + (width == 2 ? 2 : 0)))
        let atLayer = Moment(
            gradients: before,
            gathered: width * shapes.rest + head + (3 * width + 4) * shapes.largestLayer,
            activations: kept + largest / 2, logits: 0)
        let atEnd = Moment(
            gradients: 4 * shapes.ownTrained,
            gathered: (2 * width + 4) * shapes.rest + (3 * width + 4) * shapes.largestLayer + sent,
            activations: 0, logits: 0)
        // The norm of all gradients is a sum in float64.
        let atNorm = Moment(
            gradients: 4 * shapes.ownTrained, gathered: 16 * shapes.largestOwn, activations: 0, logits: 0)
        guard let teacher else { return [atHead, atLayer, atEnd, atNorm] }
        return withTeacher(
            teacher.shapes, teacher.architecture, [atHead, atLayer, atEnd], tokens: tokens, rows: rows, width,
            student: architecture, mask: mask, gradients: before,
            compared: plan.teaching?.hidden?.own.count ?? 0) + [atNorm]
    }
}

extension ClusterNeed {
    /// The moments of a step in which a teacher is there, that of its own pass among them.
    ///
    /// What of it belongs to no layer is whole until the backward pass ends, and beside the model's logits there are its own. Behind each
    /// layer that is compared there is what leaves its own, and the difference in float32.
    private static func withTeacher(
        _ shapes: ShardedShapes, _ architecture: Architecture, _ moments: [Moment], tokens: Int, rows: Int,
        _ width: Int, student: Architecture, mask: Int, gradients: Int, compared: Int
    ) -> [Moment] {
        let states = tokens * width * architecture.hiddenSize
        let shared = min(student.vocabularySize, architecture.vocabularySize)
        var found = moments.map { moment in
            var moment = moment
            moment.gathered += width * shapes.rest
            if moment.activations > 0 {
                moment.activations += states + compared * tokens * (width + 4) * architecture.hiddenSize
            }
            // Both models' logarithms over the tokens that they share, a gradient of those, and two of all logits.
            if moment.logits > 0 { moment.logits += 4 * rows * (3 * shared + 2 * student.vocabularySize) }
            return moment
        }
        let layer = architecture.layers.map { tokens * $0.savedBytes(architecture.hiddenSize, width: width) }
        found.append(
            Moment(
                gradients: gradients, gathered: width * (shapes.rest + 2 * shapes.largestLayer),
                activations: mask + (2 + compared) * states + (layer.max() ?? 0), logits: 0))
        return found
    }
}

/// How many numbers of a model's tensors a process has, and how many are whole at a time.
private struct ShardedShapes {
    let processes: Int
    /// Numbers that a process has: of all tensors, of those that are trained, of the largest.
    private(set) var own = 0, ownTrained = 0, largestOwn = 0
    /// Numbers that are trained; those of the largest layer; those that belong to no layer.
    private(set) var trained = 0, largestLayer = 0, rest = 0
    private let parameters: [Parameter]
    /// How many experts each layer has; 1 where it has none.
    private let experts: [Int]

    init(_ model: DescribedModel, processes: Int, isTrained: @escaping @Sendable (String) -> Bool) throws {
        let layout = try ParameterLayout(
            model.architecture, naming: TensorNaming(model.family, names: []),
            storage: ParameterLayout.Storage(isTrained: isTrained))
        (self.processes, parameters) = (processes, layout.parameters)
        experts = model.architecture.layers.map {
            if case .experts(let part) = $0.feedForward { part.count } else { 1 }
        }
        var layers: [Int: Int] = [:]
        for parameter in parameters {
            let count = parameter.shape.reduce(1, *)
            let share = share(of: parameter)
            own += share
            largestOwn = max(largestOwn, share)
            if parameter.isTrained { (trained, ownTrained) = (trained + count, ownTrained + share) }
            if let layer = parameter.layer { layers[layer, default: 0] += count } else { rest += count }
        }
        largestLayer = layers.values.max() ?? 0
    }

    /// Numbers that a process has of the tensors of some names.
    func ownOf(_ isMeant: (String) -> Bool) -> Int {
        parameters.reduce(0) { isMeant($1.name) ? $0 + share(of: $1) : $0 }
    }

    /// Numbers of the first process's rows, which has the most; of an expert its part of the whole ones that the process has.
    private func share(of parameter: Parameter) -> Int {
        let most = { (rows: Int) in (rows + processes - 1) / processes }
        if let layer = parameter.layer, parameter.isExpert, experts[layer] > 1 {
            return parameter.shape.reduce(1, *) * most(experts[layer]) / experts[layer]
        }
        return most(max(1, parameter.shape.first ?? 1)) * parameter.shape.dropFirst().reduce(1, *)
    }
}

extension Layer {
    /// Bytes a token that PyTorch keeps of a layer for its backward pass: what enters norms, in float32, and what leaves them; queries,
    /// keys and values as attention reads them, each head its own; and what the feed-forward part makes.
    fileprivate func savedBytes(_ hidden: Int, width: Int) -> Int {
        let norms = [attentionNorm, attentionOutputNorm, feedForwardNorm, feedForwardOutputNorm].count {
            $0 != nil
        }
        let wide =
            switch feedForward {
            case .gated(let part): 4 * part.size
            case .plain(let part): 3 * part.size
            case .experts(let part):
                4 * (part.chosen * part.expert.size + (part.shared?.size ?? 0)) + 2 * part.chosen * hidden
            }
        return (4 + 2 * width) * norms * hidden + width * (4 * attention.heads * attention.headSize + wide)
    }
}

/// The work of training, told from the shapes in config.json alone.
public struct ClusterWork: Sendable, Equatable {
    /// Numbers of the model; those that a token is multiplied by, the embedding and experts that are not chosen left out.
    public let parameters: Int, active: Int
    /// Floating-point operations of a token.
    ///
    /// 6 for each number that it is multiplied by (2 forward, 4 backward), and 6 · H · D · T in each layer for the products of
    /// attention, which is causal (<https://arxiv.org/abs/2204.02311>, appendix B, halved). Recomputed layers count once more forward.
    public let operations: Double

    /// The work of a token in sequences of a length; a teacher reads it, too, which is a third of what training it would take.
    ///
    /// Where rows are distilled, both readings go forward through some layers, the new one on to a head of its own rows, and backward
    /// through those layers again; no gradient leaves the head.
    public init(
        _ model: DescribedModel, teacher: DescribedTeacher? = nil, rows: RowDistillation? = nil, length: Int,
        recomputation: Recomputation
    ) throws {
        let architecture = model.architecture
        let layout = try ParameterLayout(architecture, naming: TensorNaming(model.family, names: []))
        var layers = 0.0
        for parameter in layout.parameters where parameter.role == .matrix {
            let count = Double(parameter.shape.reduce(1, *))
            guard let layer = parameter.layer, parameter.isExpert,
                case .experts(let part) = architecture.layers[layer].feedForward
            else {
                layers += count
                continue
            }
            layers += count * Double(part.chosen) / Double(part.count)
        }
        let head = Double(architecture.vocabularySize * architecture.hiddenSize)
        let attention = architecture.layers.reduce(0.0) {
            $0
                + Double(
                    $1.attention.heads * $1.attention.headSize * min($1.attention.window ?? length, length))
        }
        parameters = layout.parameterCount
        active = Int(layers + head)
        if let layer = rows?.layer {
            let share = Double(layer) / Double(architecture.layers.count)
            let passes = (recomputation == .layer ? 8 : 6) * share
            let isTied = architecture.head.isTied
            operations = (layers + attention) * (passes + 2 * (isTied ? share : 1)) + (isTied ? 0 : 4 * head)
            return
        }
        operations =
            try 6 * (layers + head) + 6 * attention
            + (recomputation == .layer ? 2 * layers + 2 * attention : 0)
            + (teacher.map { try ClusterWork($0.model, length: length, recomputation: .none).operations / 3 }
                ?? 0)
    }
}

extension Parameter {
    /// Whether it belongs to an expert that only some tokens are computed by.
    fileprivate var isExpert: Bool { name.contains("experts.") && !name.contains("shared_expert") }
}
