# Reference values for Rubin's rules: completed data sets and what mice::pool makes of them.
# Run from the root of the repository: Rscript tests/reference/imputation.R
suppressPackageStartupMessages({library(mice); library(jsonlite)})
here <- "tests/reference"
imp <- mice(nhanes, m = 7, maxit = 5, seed = 2024, printFlag = FALSE)
long <- complete(imp, "long")
write.csv(long[, c(".imp", "age", "bmi", "hyp", "chl")], file.path(here, "nhanes_completed.csv"), row.names = FALSE)
pooled <- pool(with(imp, lm(bmi ~ age + hyp + chl)))
big <- pool(with(imp, glm(I(hyp == 2) ~ age, family = binomial, control = glm.control(epsilon = 1e-15, maxit = 100))), dfcom = Inf)
take <- function(p) { s <- summary(p, conf.int = TRUE); q <- p$pooled
  list(estimate = s$estimate, std_error = s$std.error, df = q$df, p_value = s$p.value, low = s[["2.5 %"]], high = s[["97.5 %"]],
       fmi = q$fmi, ubar = q$ubar, b = q$b) }
out <- list(versions = list(R = R.version.string, mice = as.character(packageVersion("mice"))), lm = take(pooled), glm = take(big))
write_json(out, file.path(here, "imputation.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
