import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Trainer

struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what healing on GPUs takes: memory, time and money.",
        discussion: """
            Reads MODEL's config.json alone, and its surgery.json for --teacher-hidden, so it works before any weights are \
            there. It says what a process of trainer heal --on torchrun takes of its device's memory, by part and by number \
            of devices, and the smallest number that fits. With --flops it says how long the run takes, with --price what \
            it costs.

              trainer plan upstage/SOLAR-10.7B-v1.0 --devices 8 --memory 80GB --batch 64 --length 4096 --tokens 1000000000 \\
                --recompute layer --flops 989e12 --utilization 0.4 --price 2.5/hour

            How many tokens a pass has the data tells, so --epochs says nothing of the time.

            Left out are what CUDA, NCCL and PyTorch's allocator take themselves, about 2 GB; so leave a tenth. With --json: \
            parameters, active_parameters, devices ([{devices, weights, moments, teacher, gradients, gathered, activations, logits, program, \
            total, host}]), fits, and tokens, operations_per_token, seconds, cost where they are asked for.
            """)

    @Argument(help: "A folder with config.json, or a name on the hub that is in the local cache.") var model =
        "."
    @Option(help: ArgumentHelp("Devices that there are at most.", valueName: "count")) var devices = 8
    @Option(help: ArgumentHelp("The memory of a device, as in 80GB.", valueName: "bytes")) var memory:
        ByteSize?
    @Option(help: "What computes: cuda or cpu.") var device = ClusterSettings.Device.cuda
    @Option(help: "What it computes in: bf16 or f32 (default: bf16 on cuda, f32 on cpu).")
    var dtype: ClusterSettings.Precision?
    @OptionGroup(title: "Length of the run") var extent: HealExtent
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Train only the tensors whose names are like these.", valueName: "pattern"))
    var train: [String] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Leave the tensors whose names are like these as they are.", valueName: "pattern"))
    var freeze: [String] = []
    @Option(
        help: ArgumentHelp(
            "The base of the rotary position embedding, with which sequences may be longer.",
            valueName: "base"))
    var ropeTheta: Double?
    @Option(
        help: ArgumentHelp("A folder with config.json of the teacher of trainer heal.", valueName: "model"))
    var teacher: String?
    @Option(
        help: ArgumentHelp(
            "Compare its hidden states, too, as of trainer heal; MODEL's surgery.json tells behind which layers.",
            valueName: "weight[:share]"))
    var teacherHidden: String?
    @Option(
        help: ArgumentHelp("What a device computes a second at its best, as in 989e12.", valueName: "FLOP/s"))
    var flops: Double?
    @Option(help: ArgumentHelp("The share of that which is reached (default: 0.4).", valueName: "share"))
    var utilization: Double?
    @Option(help: ArgumentHelp("What a device costs, as in 2.5/hour.", valueName: "price")) var price:
        DevicePrice?
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard (1...4_096).contains(devices) else {
            throw ValidationError("--devices must be from 1 to 4,096, not \(devices)")
        }
        if let utilization, !(utilization > 0 && utilization <= 1) {
            throw ValidationError("--utilization must be above 0 and at most 1, not \(utilization)")
        }
        guard utilization == nil || flops != nil else {
            throw ValidationError("--utilization is a share of --flops; give both")
        }
        if let flops, !(flops > 0 && flops.isFinite) { throw ValidationError("--flops must be above 0") }
        guard price == nil || flops != nil else {
            throw ValidationError("--price goes by the time, which --flops tells; give both")
        }
    }

    /// The share of the best that counts.
    private var reached: Double { utilization ?? 0.4 }

    func run() throws {
        try runReportingErrors {
            let plan = try ClusterPlan(
                PretrainedModel.described(model), job, devices: devices, memory: memory?.bytes,
                settings: ClusterSettings(device: device, precision: dtype), path: model)
            let time = flops.flatMap { plan.seconds(flops: $0 * reached) }
            if json { return printJSON(object(plan, time)) }
            report(
                """
                \(Units.count(plan.work.parameters)) parameters, \(Units.count(plan.work.active)) of them in the products of a token; \
                \(plan.sequences) sequences of \(Units.grouped(plan.length)) tokens a step
                """)
            var table = Table(columns: [("devices", .right)] + Self.parts.map { ($0.0, .right) })
            for need in plan.needs {
                table.add([String(need.processes)] + Self.parts.map { Units.bytes(need[keyPath: $0.1]) })
            }
            report(table.description)
            if let memory {
                report(
                    plan.fitting.map { "\($0) of \(memory) each are the fewest that fit" }
                        ?? "not even \(plan.needs.last?.processes ?? devices) of \(memory) each are enough")
            }
            guard let tokens = plan.tokens, let flops, let time else {
                if flops != nil {
                    report(
                        "how long it takes follows from the tokens or steps of all stages, which are not given (of snippets the text tells)"
                    )
                }
                return
            }
            report(
                """
                \(Units.count(tokens)) tokens at \(Units.fixed(plan.work.operations / 1e9, digits: 2)) GFLOP each, on \
                \(plan.devicesInUse) devices of \(Units.fixed(flops / 1e12, digits: 0)) TFLOP/s, \
                \(Units.fixed(100 * reached, digits: 0)) % of it reached: \(Units.duration(seconds: time))
                """)
            if let price {
                report(
                    "at \(price.perHour) an hour and device: \(Units.fixed(cost(plan, time, price), digits: 2))"
                )
            }
        }
    }

    /// The parts of the memory, as a table has them.
    private static var parts: [(String, KeyPath<ClusterNeed, Int>)] {
        [
            ("weights", \.weights), ("moments", \.moments), ("teacher", \.teacher),
            ("gradients", \.gradients), ("gathered", \.gathered),
            ("activations", \.activations), ("logits", \.logits), ("program", \.program), ("in all", \.total),
            ("host", \.host),
        ]
    }

    private func cost(_ plan: ClusterPlan, _ seconds: Double, _ price: DevicePrice) -> Double {
        seconds / 3_600 * Double(plan.devicesInUse) * price.perHour
    }

    private func object(_ plan: ClusterPlan, _ seconds: Double?) -> JSON {
        [
            "parameters": JSON(plan.work.parameters), "active_parameters": JSON(plan.work.active),
            "devices": .array(
                plan.needs.map { need in
                    var row: JSONObject = ["devices": JSON(need.processes)]
                    for (name, part) in Self.parts {
                        row[name == "in all" ? "total" : name] = JSON(need[keyPath: part])
                    }
                    return .object(row)
                }),
            "fits": plan.fitting.map { JSON($0) } ?? .null, "tokens": plan.tokens.map { JSON($0) } ?? .null,
            "operations_per_token": JSON(plan.work.operations), "seconds": seconds.map { JSON($0) } ?? .null,
            "cost": seconds.flatMap { time in price.map { JSON(cost(plan, time, $0)) } } ?? .null,
        ]
    }

    /// The job that the command line describes, its data left open.
    private var job: TrainingJob {
        var job = TrainingJob()
        (job.steps, job.tokens, job.epochs) = (extent.steps, extent.tokens, extent.epochs)
        job.take(extent.batches)
        (job.stages, job.train, job.freeze) = (extent.stages, train, freeze)
        (job.ropeTheta, job.teacher, job.teacherHidden) = (ropeTheta, teacher, teacherHidden)
        return job
    }
}

/// What a device costs an hour: `2.5/hour`.
struct DevicePrice: ExpressibleByArgument {
    /// In whatever money.
    let perHour: Double

    init?(argument: String) {
        guard argument.hasSuffix("/hour"), let number = Double(argument.dropLast(5)), number >= 0,
            number.isFinite
        else { return nil }
        perHour = number
    }
}
