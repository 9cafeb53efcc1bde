// swift-tools-version: 6.3
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let orderedCollections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let yaml: Target.Dependency = .product(name: "Yams", package: "Yams")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "model-surgery",
    products: [
        .executable(name: "surgery", targets: ["SurgeryCommand"]),
        .executable(name: "trainer", targets: ["TrainerCommand"]),
        .library(name: "Formats", targets: ["Formats"]),
        .library(name: "Models", targets: ["Models"]),
        .library(name: "Surgery", targets: ["Surgery"]),
        .library(name: "Trainer", targets: ["Trainer"]),
        .library(name: "Recipes", targets: ["Recipes"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Oniguruma, whose regular expressions are those of Hugging Face's pre-tokenizers.
        .systemLibrary(name: "COniguruma", pkgConfig: "oniguruma", providers: [.apt(["libonig-dev"])]),
        // libhdf5, which makes the headers of HDF5 files that are written.
        .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
        // zlib, by which the chunks of HDF5 files and texts called .gz are packed.
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // Zstandard, by which texts called .zst and pages of Parquet files are packed.
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        // Snappy, by which most pages of Parquet files are packed.
        .systemLibrary(name: "CSnappy", pkgConfig: "snappy", providers: [.apt(["libsnappy-dev"])]),
        // OpenSSL's libcrypto, which hashes: libhdf5 loads it anyway.
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        // System calls that Swift's Glibc module leaves out: copies inside the kernel, exchanging names.
        .target(name: "CSystemCalls"),
        // The loops that Swift does not vectorise well, compiled for three instruction sets.
        .target(name: "CKernels", dependencies: ["COpenBLAS"]),
        // OpenBLAS, loaded at run time so that its kernels can be chosen before it starts.
        .target(name: "COpenBLAS", linkerSettings: [.linkedLibrary("dl")]),
        // Threads that wait for the next loop awake: Swift's own executors do not.
        .target(name: "CThreadPool", linkerSettings: [.linkedLibrary("pthread")]),
        .target(
            name: "Formats",
            dependencies: [
                "COniguruma", "CHDF5", "CZlib", "CZstd", "CSnappy", "COpenSSL", "CKernels",
                "CSystemCalls", orderedCollections, logging, yaml,
            ], swiftSettings: strict),
        .target(name: "Models", dependencies: ["Formats", orderedCollections], swiftSettings: strict),
        .target(
            name: "Surgery", dependencies: ["Formats", "Models", orderedCollections], swiftSettings: strict),
        .target(
            name: "Trainer",
            dependencies: [
                "Formats", "Models", "CKernels", "COpenBLAS", "CThreadPool", orderedCollections, heap,
                logging,
            ],
            // What PyTorch and the frameworks of a hand-off carry out, inside the one binary.
            resources: [
                .embedInCode("Cluster/worker.py"), .embedInCode("Cluster/parameters.py"),
                .embedInCode("Cluster/rules.py"), .embedInCode("Cluster/hosts.py"),
                .embedInCode("Cluster/job.py"), .embedInCode("Cluster/opening.py"),
                .embedInCode("Cluster/losses.py"), .embedInCode("Cluster/teacher.py"),
                .embedInCode("Cluster/rows.py"),
                .embedInCode("Cluster/requirements.txt"),
                .embedInCode("HandOff/planned.py"),
                .embedInCode("HandOff/check.py"),
                .embedInCode("HandOff/axolotl_plugin.py"), .embedInCode("HandOff/megatron_job.py"),
                .embedInCode("HandOff/torchtitan_job.py"),
            ],
            swiftSettings: strict),
        .target(
            name: "Recipes", dependencies: ["Formats", "Models", "Surgery", "Trainer"], swiftSettings: strict),
        .target(
            name: "CommandLineSupport", dependencies: ["Formats", "Trainer", argumentParser, logging],
            swiftSettings: strict),
        .executableTarget(
            name: "SurgeryCommand",
            dependencies: [
                "Formats", "Models", "Surgery", "Trainer", "Recipes", "CommandLineSupport", argumentParser,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "TrainerCommand",
            dependencies: ["Models", "Trainer", "CommandLineSupport", argumentParser],
            swiftSettings: strict),
        // What the tests of several targets need.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(
            name: "FormatsTests", dependencies: ["Formats", "TestSupport", logging],
            resources: [.copy("Fixtures")],
            swiftSettings: strict),
        .testTarget(
            name: "ModelsTests", dependencies: ["Models", "Formats", "TestSupport", orderedCollections],
            resources: [.copy("Fixtures")],
            swiftSettings: strict),
        .testTarget(
            name: "SurgeryTests",
            dependencies: ["Surgery", "Models", "Formats", "TestSupport", orderedCollections],
            resources: [.copy("Fixtures")], swiftSettings: strict),
        .testTarget(
            name: "TrainerTests",
            dependencies: [
                "Trainer", "Surgery", "Models", "Formats", "TestSupport", "CKernels", orderedCollections,
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: strict),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "Formats", "Models", "Surgery", "Trainer", "Recipes", "SurgeryCommand", "TrainerCommand",
                "CommandLineSupport",
                "TestSupport",
                orderedCollections, argumentParser, logging,
            ],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
