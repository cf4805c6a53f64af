// The page and the program for a computer draw the same tokens from the same seed.

export const what = "the same seed gives the same tokens here and natively (ARTUNE_NATIVE: path of the program)";
export const limit = 120;

export async function run() {
    throw new Error("not wired");
}
