import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure what training costs on this machine.",
        discussion: """
            Takes steps on random tokens with random weights of a model's shape: of MODEL's config.json, of any \
            family that the trainer computes, or of --shape:

              8m          Mistral, hidden 256, 8 layers, 4,096 tokens
              135m        Llama, hidden 576, 30 layers, 49,152 tokens, tied
              0.5b        Mistral, hidden 1,024, 32 layers, 32,000 tokens
              neox-160m   GPT-NeoX, hidden 768, 12 layers, 50,304 tokens
              gpt2-124m   GPT-2, hidden 768, 12 layers, 50,257 tokens, tied
              qwen2-0.5b  Qwen 2, hidden 896, 24 layers, 151,936 tokens, tied
              moe-124m    Mixtral, hidden 512, 8 layers of 8 experts, 32,000 tokens, tied

            The SGEMM rate is that of OpenBLAS on the model's own products, each thread by itself, measured in \
            the same run; the share says how much of it a whole step reaches. With --json: tokens_per_second, \
            tokens_per_cpu_second, sgemm_gflops, share_of_sgemm, peak_memory_bytes, blas_core, threads, \
            parameters, operations (seconds of a step by kind).
            """)

    @Argument(help: "A folder with config.json, or a name on the hub that is in the local cache.") var model:
        String?
    @Option(help: ArgumentHelp("A shape by name.", valueName: "name")) var shape: BenchmarkShape?
    @Option(help: ArgumentHelp("Sequences computed at once.", valueName: "count")) var batch = 2
    @Option(help: ArgumentHelp("Tokens of a sequence.", valueName: "tokens")) var length = 512
    @Option(help: ArgumentHelp("Steps that are timed, after one that is not.", valueName: "count"))
    var steps = 5
    @Option(help: ArgumentHelp("What is computed again: none, norms or layer.", valueName: "what"))
    var recompute = Recomputation.norms
    @Option(help: ArgumentHelp("How both moments are kept: f32, bf16 or 8bit.", valueName: "kind"))
    var moments = MomentPrecision.int8
    @Option(help: ArgumentHelp("How the gradients of matrices are kept: f32 or bf16.", valueName: "kind"))
    var gradients = GradientPrecision.bf16
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard (model == nil) != (shape == nil) else {
            throw ValidationError("give either a MODEL or --shape")
        }
        for (name, count) in [("--batch", batch), ("--length", length), ("--steps", steps)] where count < 1 {
            throw ValidationError("\(name) must be at least 1, not \(count)")
        }
    }

    func run() throws {
        try runReportingErrors {
            let described = try shape?.described() ?? PretrainedModel.described(model ?? ".")
            let result = try TrainingBenchmark(
                model: described, batch: batch, length: length, steps: steps, threads: compute.count,
                recomputation: recompute, moments: moments, gradients: gradients
            ).run()
            if json { return printJSON(try JSON(encoding: result)) }
            report(
                """
                \(Units.count(result.parameters)) parameters, batch \(batch) × \(length), \(result.threads) threads, \
                OpenBLAS \(result.blasCore)
                \(Units.fixed(result.tokensPerSecond, digits: 1)) tokens a second, \
                \(Units.fixed(result.tokensPerCPUSecond, digits: 1)) for each second of processor time
                SGEMM \(Units.fixed(result.sgemmGflops, digits: 1)) GFLOP/s on the model's shapes, of which a step \
                reaches \(Units.fixed(100 * result.shareOfSgemm, digits: 1)) %
                peak memory \(Units.bytes(result.peakMemoryBytes))
                """)
            var table = Table(columns: [("operation", .left), ("seconds a step", .right)])
            for (name, seconds) in result.operations.sorted(by: { $0.value > $1.value }) {
                table.add(name, Units.fixed(seconds, digits: 4))
            }
            report(table.description)
        }
    }
}
