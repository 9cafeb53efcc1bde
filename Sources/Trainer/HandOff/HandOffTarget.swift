internal import Formats
internal import Models

/// A framework that a run can be handed to.
public enum HandOffTarget: String, CaseIterable, Sendable {
    /// NVIDIA's NeMo AutoModel: any model that transformers has, by YAML.
    case automodel
    /// axolotl: any model that transformers has, by YAML.
    case axolotl
    /// NVIDIA's Megatron-Bridge, by Python.
    case megatronBridge = "megatron-bridge"
    /// PyTorch's torchtitan, by Python.
    case torchtitan

    /// What writes its files.
    var tool: any HandOffTool {
        switch self {
        case .automodel: AutoModel()
        case .axolotl: Axolotl()
        case .megatronBridge: MegatronBridge()
        case .torchtitan: TorchTitan()
        }
    }
}

/// What a run asks for and a framework can't do, which must be named to be given up: it would move the weights otherwise
/// than planned.
public enum HandOffGap: String, CaseIterable, Sendable {
    /// Stages after or before the one that is handed over, and the moments that go on from one to the next.
    case stages
    /// Rows of a tensor that keep their bytes while others are trained.
    case frozenRows = "frozen-rows"
    /// Rows of a tensor with rates or decays of their own.
    case rowRates = "row-rates"
    /// Tensors with rates or decays of their own that are one for the framework.
    case tensorRates = "tensor-rates"
    /// The rate of each step.
    case schedule
}

/// How a framework writes the rate of a step.
enum ScheduleAbility {
    /// Any rate for any step.
    case table
    /// Megatron's curves.
    case curves
}

/// What a framework can do, and how its files are written.
///
/// What it can't is found by ``HandOffPlan`` from what stands here.
protocol HandOffTool: Sendable {
    /// What it is called.
    var title: String { get }
    /// The package, and the version that its files were tested with.
    var package: String { get }
    /// How it takes the rate of a step.
    var schedule: ScheduleAbility { get }
    /// What it can't do or does otherwise without moving the weights otherwise, a sentence each.
    func remarks(on plan: HandOffPlan) -> [String]
    /// What it calls a tensor; nil where that isn't known. Several may be one for it.
    func parameter(for tensor: String) -> String?
    /// Refuses a model that it doesn't know, by its config.json.
    func check(_ configuration: JSON) throws(UserFacingError)
    /// Refuses a model that it would compute in another way on sequences of `length` tokens with several documents.
    func check(_ architecture: Architecture, length: Int) throws(UserFacingError)
    /// Writes the data.
    ///
    /// - Returns: the names of the files.
    func writeData(of plan: HandOffPlan, to folder: String) throws(UserFacingError) -> [String]
    /// The configuration, and the program that reads it, by file name; ``HandOffPlan/head`` stands at the top of the first.
    func files(of plan: HandOffPlan) -> [(name: String, text: String)]
    /// The shell's command that starts it, with `$MODEL` and `$processes`.
    func command(of plan: HandOffPlan) -> String
    /// Where the result is afterwards, in a sentence.
    var result: String { get }
}

extension HandOffTool {
    func remarks(on plan: HandOffPlan) -> [String] { [] }
    func parameter(for tensor: String) -> String? { tensor }
    func check(_ configuration: JSON) throws(UserFacingError) {}
    func check(_ architecture: Architecture, length: Int) throws(UserFacingError) {}

    /// Writes the sequences as the run folder has them: int32, (N, 3, T).
    func writeData(of plan: HandOffPlan, to folder: String) throws(UserFacingError) -> [String] {
        try plan.sequences.copy(to: Path.join(folder, "sequences.bin"))
        return ["sequences.bin"]
    }

    /// The program that reads the plan.
    var reader: (name: String, text: String) { ("planned.py", text(PackageResources.planned_py)) }

    /// A program that lies in this binary.
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
