# Reference values for areas under the curve, their errors and their difference (DeLong), on the rossi data of this folder.
# Run from the root of the repository: Rscript tests/reference/prediction.R
suppressPackageStartupMessages({library(pROC); library(jsonlite)})
here <- "tests/reference"
long <- read.csv(file.path(here, "rossi_periods.csv"))
people <- aggregate(cbind(event, fin, age, prio, mar, area) ~ id, data = long, FUN = max)
one <- predict(glm(event ~ fin + age + prio, family = binomial, data = people), type = "response")
two <- predict(glm(event ~ round(age / 5), family = binomial, data = people), type = "response")
write.csv(data.frame(id = people$id, area = people$area, event = people$event, one = round(one, 6), two = round(two, 6)),
          file.path(here, "predictions.csv"), row.names = FALSE)
p <- read.csv(file.path(here, "predictions.csv"))
a <- roc(p$event, p$one, quiet = TRUE, direction = "<"); b <- roc(p$event, p$two, quiet = TRUE, direction = "<")
out <- list(versions = list(R = R.version.string, pROC = as.character(packageVersion("pROC"))),
  auc_one = as.numeric(auc(a)), auc_two = as.numeric(auc(b)), var_one = var(a, method = "delong"), var_two = var(b, method = "delong"),
  cov = cov(a, b, method = "delong"), events = sum(p$event), rows = nrow(p))
write_json(out, file.path(here, "prediction.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
